"""How far the gradient gate stands open at a step, a traced value: nothing is compiled anew.

A gate that opens late tells whether the exact gradient is unstable early in training only.
"""

import jax.numpy as jnp

from jaxrcnn.config import ModelConfig
from jaxrcnn.training.knobs import Knobs
from jaxrcnn.types import Array, Gates


def gates_at(knobs: Knobs, step: Array | int) -> Gates:
    """Both gates at a step: closed for open_after steps, then open in a line over open_over.

    Args:
        knobs: of the run.
        step: steps done before this one.

    Returns:
        Scalars in float32, from 0 to pooling_gradient and target_gradient.
    """
    step, after, over = (
        jnp.asarray(x, jnp.float32) for x in (step, knobs.open_after, knobs.open_over)
    )
    # The first step that is not closed is the first of the rise, or wholly open without one.
    opened = jnp.clip((step - after + 1) / jnp.maximum(over, 1), 0, 1)
    return Gates(opened * knobs.pooling_gradient, opened * knobs.target_gradient)


def describe_gate(model: ModelConfig) -> list[str]:
    """What a person should know about the gate before training, in lines; none if it is closed."""
    gate = model.proposals
    if gate.stop_gradient:
        return []
    lines = [
        f"gradient gate: pooling {gate.pooling_gradient:g}, targets {gate.target_gradient:g}"
        + (f", closed for {gate.open_after} steps" if gate.open_after else "")
        + (f", opening over {gate.open_over}" if gate.open_over else "")
    ]
    if model.roi.op == "pool" and gate.pooling_gradient > 0:
        lines.append(
            "gradient gate: RoIPool has no gradient in the boxes, so that nothing comes through "
            "pooling"
        )
    return lines

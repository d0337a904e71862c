"""The instrument of the gradient question, inside the training step.

Which loss pulls at which module, by which route of the gate, whatever the gate of the run is; how
that agrees with the RPN's own gradient; where it pushes the proposals, and what one update with an
open gate does to them. docs/schemes.md lists the names.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, apply
from jaxrcnn.stages.inputs import normalise
from jaxrcnn.stages.rpn import concatenate_levels
from jaxrcnn.training.alternating import RPN_LOSSES, Stage, phase_start
from jaxrcnn.training.knobs import Knobs, step_key
from jaxrcnn.training.measures import best_anchors, boxes_of, drift, measure_flow, share
from jaxrcnn.training.optimizer import Optimizer, default_optimizer, rate_at, update_now
from jaxrcnn.training.pushes import measure_pushes, pushes_of, roi_slopes
from jaxrcnn.training.routes import (
    Setting,
    Taken,
    rows_of,
    set_up,
    take,
    weighted_loss,
    widest_gates,
)
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch, Flow, Gates, Losses

PREFIX = "diagnostics/"
"""Of the names among the metrics of a step."""


def diagnostics_at(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    knobs: Knobs,
    stage: Stage = "joint",
    losses: Sequence[str] = Losses._fields,
    optimizer: Optimizer = default_optimizer,
) -> dict[str, Array]:
    """What `diagnose` says in the steps that are measured; in others NaN, which costs nothing.

    Arguments are those of `diagnose`. The names begin with `PREFIX`.
    """

    @jax.jit  # so that its shapes and its values need one trace
    def measure(state: TrainState, batch: Batch, knobs: Knobs) -> dict[str, Array]:
        return diagnose(detector, config, state, batch, knobs, stage, losses, optimizer)

    shapes = jax.eval_shape(measure, state, batch, knobs)
    nothing = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), shapes)
    wanted = is_diagnosed(config, state.step)
    found = jax.lax.cond(wanted, measure, lambda *_: nothing, state, batch, knobs)
    return {PREFIX + name: value for name, value in found.items()}


def is_diagnosed(config: Config, step: Array | int) -> Any:
    """Whether the step after so many is measured."""
    return step % config.train.diagnostics.every == 0


@jax.named_scope("diagnose")
def diagnose(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    knobs: Knobs,
    stage: Stage = "joint",
    losses: Sequence[str] = Losses._fields,
    optimizer: Optimizer = default_optimizer,
) -> dict[str, Array]:
    """Measure the gradients of a step, without taking it.

    Args:
        detector: static.
        config: static.
        state: before the step.
        batch: of the step.
        knobs: of the run; its draws are those of the step.
        stage: static; what the step trains.
        losses: static; all that the detector has, by name.
        optimizer: static; as that of the state.

    Returns:
        Scalars in float32, by the names in docs/schemes.md.
    """
    curvature = config.train.diagnostics.curvature
    key = step_key(knobs.seed, state.step)
    setting = set_up(detector, state.variables, batch, key, stage, losses)
    rows = rows_of(stage, setting.losses, widest_gates(config.model.proposals, knobs))
    taken = take(setting, rows, lambda flow: _look(setting, flow), curvature)
    found = {
        f"gradient/{row.losses[0]}/{row.route}/{module}": norms[i]
        for i, row in enumerate(rows)
        if row.route != "open"
        for module, norms in taken.norms.items()
    }
    found |= taken.seen.measures
    if stage == "joint":
        found |= {
            f"cosine/{name}": cosine(taken.sums["rpn"]["features"], taken.sums[name]["features"])
            for name in ("closed", "open")
        }
        found |= _drifts(detector, config, state, batch, taken, optimizer)
        slopes, flow = roi_slopes(setting)
        found |= measure_pushes(pushes_of(slopes, flow.rois, batch))
    if curvature:
        bends = _curvatures(setting, taken.sums)
        found |= {f"curvature/{along}": bend for along, bend in bends.items()}
        with jax.numpy_dtype_promotion("standard"):  # a schedule multiplies by numbers of steps
            rates = rate_at(config, state.step, optimizer).values()
        found |= {
            f"overshoot/{along}": rate * bend / 2 for rate in rates for along, bend in bends.items()
        }
    return {name: value.astype(jnp.float32) for name, value in found.items()}


class _Seen(NamedTuple):
    """What is seen on the way forwards."""

    measures: dict[str, Array]
    anchors: Array  # (A, 4)
    best: Array  # (N, k) int32, see best_anchors
    boxes: Array  # (N, k, 4) of these


def _look(setting: Setting, flow: Flow) -> _Seen:
    best, batch = best_anchors(flow), setting.batch
    boxes = boxes_of(
        flow.rpn.deltas, best, flow.anchors, batch.image_sizes, setting.detector.config
    )
    return _Seen(measure_flow(flow, batch, setting.stage), flow.anchors, best, boxes)


def cosine(a: Any, b: Any) -> Array:
    """Cosine between two trees of arrays, over all entries; NaN where one is 0."""
    return share(inner(a, b), jnp.sqrt(inner(a, a)) * jnp.sqrt(inner(b, b)))


def inner(a: Any, b: Any) -> Array:
    """Inner product of two trees of arrays."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), a, b)
    return sum(jax.tree.leaves(products), start=jnp.zeros(()))


def _drifts(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    taken: Taken,
    optimizer: Optimizer,
) -> dict[str, Array]:
    """How far this step moves the best anchors' boxes, and how far the open gate moves them."""
    sums, seen = taken.sums, taken.seen
    params = state.variables["params"]
    first_step = phase_start(config, state.step)

    def after(second_stage: Any) -> Array:
        gradients = {k: jax.tree.map(jnp.add, sums["rpn"][k], second_stage[k]) for k in params}
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies by numbers of steps
            moved = update_now(config, first_step, gradients, state.opt_state, params, optimizer)
        deltas = _rpn_deltas(detector, {**state.variables, "params": moved}, batch)
        return boxes_of(deltas, seen.best, seen.anchors, batch.image_sizes, detector.config)

    both = jax.tree.map(lambda *x: jnp.stack(x), sums["closed"], sums["open"])
    closed, opened = jax.lax.map(after, both)
    return {
        "drift/step": drift(seen.boxes, closed, batch.image_weights),
        "drift/gate": drift(closed, opened, batch.image_weights),
    }


def _rpn_deltas(detector: Detector, variables: Variables, batch: Batch) -> Array:
    """The RPN's deltas (N, A, 4) with other variables, in training mode."""
    images = normalise(batch.images, batch.image_sizes, detector.config)
    features, _ = apply(detector, "backbone", variables, images, train=True)
    maps, _ = apply(detector, "rpn_head", variables, features, train=True)
    return concatenate_levels(*maps).deltas


def _curvatures(setting: Setting, sums: Mapping[str, Any]) -> dict[str, Array]:
    """How the second stage's gradient with the pooling route open changes along two directions.

    Along a unit direction v it is v . d/de g(params + e v), for the pooling route's own gradient
    and for the direct one. Forward mode over reverse mode: the RoI ops' loops have no reverse mode
    twice.
    """
    factors = {loss: float(loss not in RPN_LOSSES) for loss in setting.losses}

    def field(trained: Any) -> Any:
        gates = Gates(1.0, 0.0)
        return jax.grad(weighted_loss, argnums=1, has_aux=True)(
            setting, trained, setting.offsets, factors, gates
        )[0]

    def along(direction: Any) -> Array:
        length = jnp.sqrt(inner(direction, direction))
        unit = jax.tree.map(lambda x: share(x, length), direction)
        _, change = jax.jvp(field, (setting.trained,), (unit,))
        return inner(unit, change)

    names = {"pooling": "pooling", "direct": "closed"}
    directions = [{k: sums[name][k] for k in setting.trained} for name in names.values()]
    values = jax.lax.map(along, jax.tree.map(lambda *x: jnp.stack(x), *directions))
    return dict(zip(names, values, strict=True))

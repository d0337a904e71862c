"""The state of training: what a step changes, a checkpoint holds and an evaluation reads."""

import functools
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, init
from jaxrcnn.training.alternating import has_proposer, proposer_of
from jaxrcnn.training.knobs import Knobs
from jaxrcnn.training.optimizer import Optimizer, build_optimizer, default_optimizer
from jaxrcnn.types import Array


@functools.partial(
    jax.export.register_namedtuple_serialization, serialized_name="jaxrcnn.TrainState"
)
class TrainState(NamedTuple):
    """All that changes in training; a checkpoint holds this and nothing else."""

    step: Array  # () int32, steps done
    variables: Variables
    opt_state: Any
    average: Any  # moving average of the parameters, or None


def create_state(
    detector: Detector,
    config: Config,
    knobs: Knobs | None = None,
    draw: Array | int = 0,
    optimizer: Optimizer = default_optimizer,
) -> TrainState:
    """The state at step 0, its parameters drawn from the seed. Traceable.

    Args:
        detector: static.
        config: static.
        knobs: give the seed; by default the config's.
        draw: 0 for the run's own parameters; a phase of alternating training draws others.
        optimizer: static.
    """
    # Word 1 of the seed is that of the steps' draws.
    word = jnp.where(jnp.asarray(draw) == 0, 0, 1 + draw)
    seed = config.seed if knobs is None else knobs.seed
    variables = init(detector, jax.random.fold_in(jax.random.key(seed), word))
    if has_proposer(config):
        variables = {**variables, "proposer": proposer_of(variables)}
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        opt_state=build_optimizer(config, 0, optimizer).init(params),
        average=jax.tree.map(jnp.copy, params) if config.train.optimizer.ema_decay > 0 else None,
    )


def eval_variables(state: TrainState) -> Variables:
    """What to evaluate: the moving average of the parameters where there is one."""
    if state.average is None:
        return state.variables
    return {**state.variables, "params": state.average}

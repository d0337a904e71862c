"""One step of training, one traced function: forward, losses, gradients, update."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, forward_infer, forward_train, init
from jaxrcnn.training.gates import gates_at
from jaxrcnn.training.optimizer import build_optimizer, learning_rate
from jaxrcnn.types import Array, Batch, Detections, Gates, Losses


class TrainState(NamedTuple):
    """All that changes in training; a checkpoint holds this and nothing else."""

    step: Array  # () int32, steps done
    variables: Variables
    opt_state: Any
    average: Any  # moving average of the parameters, or None


def create_state(detector: Detector, config: Config) -> TrainState:
    """The state at step 0, its parameters drawn from config.seed. Traceable."""
    variables = init(detector, jax.random.fold_in(jax.random.key(config.seed), 0))
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        opt_state=build_optimizer(config).init(params),
        average=jax.tree.map(jnp.copy, params) if config.train.optimizer.ema_decay > 0 else None,
    )


def train_step(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    gates: Gates | None = None,
) -> tuple[TrainState, dict[str, Array]]:
    """Forward, losses, gradients and update.

    Args:
        detector: static.
        config: static.
        state: replicated over the devices.
        batch: sharded over the devices along its pictures.
        gates: how far the gradient gate stands open, by default as scheduled by the config.

    Returns:
        The next state, and what to log, scalars in float32.
    """
    key = step_key(config, state.step)
    proposals = config.model.proposals
    gates = gates_at(proposals, state.step) if gates is None else gates

    def total_loss(params: Any) -> tuple[Array, tuple[Losses, Variables]]:
        variables = {**state.variables, "params": params}
        losses, variables = forward_train(detector, variables, batch, key, gates=gates)
        return sum(losses, start=jnp.zeros(())), (losses, variables)

    params = state.variables["params"]
    gradients, (losses, variables) = jax.grad(total_loss, has_aux=True)(params)
    with jax.named_scope("update"):
        updates, opt_state = build_optimizer(config).update(gradients, state.opt_state, params)
        params = optax.apply_updates(params, updates)
        average = _moving_average(config, state.average, params, state.step)
    metrics = {
        **loss_metrics(losses),
        "gradient_norm": optax.tree.norm(gradients),
        "learning_rate": learning_rate(config, state.step),
    }
    if not proposals.stop_gradient:
        metrics |= {"gate_pooling": gates.pooling, "gate_targets": gates.targets}
    variables = {**variables, "params": params}
    return TrainState(state.step + 1, variables, opt_state, average), metrics


def eval_step(
    detector: Detector, config: Config, variables: Variables, batch: Batch
) -> tuple[Detections, dict[str, Array]]:
    """Detections and validation losses of a batch; both share one pass of the backbone.

    The losses' draws depend on the seed and the picture alone, so that they compare over a run.
    """
    losses, _ = forward_train(detector, variables, batch, step_key(config, 0), train=False)
    detections = forward_infer(detector, variables, batch.images, batch.image_sizes)
    return detections, loss_metrics(losses)


def eval_variables(state: TrainState) -> Variables:
    """What to evaluate: the moving average of the parameters where there is one."""
    if state.average is None:
        return state.variables
    return {**state.variables, "params": state.average}


def step_key(config: Config, step: Array | int) -> Array:
    """The key of a step's draws; parameters are drawn from another branch of the seed."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(config.seed), 1), step)


def loss_metrics(losses: Losses) -> dict[str, Array]:
    """The losses by the names that they have in metrics.jsonl, after "train/" or "eval/"."""
    total = sum(losses, start=jnp.zeros(()))
    return {"loss": total, **{f"loss_{k}": v for k, v in losses._asdict().items()}}


def _moving_average(config: Config, average: Any, params: Any, step: Array) -> Any:
    """Exponential moving average, with a shorter memory in the first steps (as TensorFlow's)."""
    if average is None:
        return None
    decay = jnp.minimum(config.train.optimizer.ema_decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, p: a + (1.0 - decay) * (p - a), average, params)

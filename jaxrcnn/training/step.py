"""One step of training, one traced function: forward, losses, gradients, update."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, proposals_for
from jaxrcnn.training.alternating import (
    STAGE_PARTS,
    Stage,
    losses_of,
    phase_start,
    trains_backbone,
)
from jaxrcnn.training.diagnostics import diagnostics_at
from jaxrcnn.training.divergence import Wrong, origin, wrong_outputs
from jaxrcnn.training.gates import gates_at
from jaxrcnn.training.knobs import Knobs, knobs_of, step_key
from jaxrcnn.training.layers import without_frozen_gradients
from jaxrcnn.training.optimizer import Optimizer, build_optimizer, default_optimizer, rate_at
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch, Detections


def train_step(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    knobs: Knobs | None = None,
    stage: Stage = "joint",
    optimizer: Optimizer = default_optimizer,
) -> tuple[TrainState, dict[str, Array]]:
    """Forward, losses, gradients and update.

    Args:
        detector: static.
        config: static.
        state: replicated over the devices.
        batch: sharded over the devices along its images; stage "fast_rcnn" takes its proposals
            where it has some, else those of variables["proposer"].
        knobs: seed and schedule of the gradient gate; by default the config's.
        stage: static; what is trained.
        optimizer: static; as that of the state.

    Returns:
        The next state, and what to log, scalars in float32.
    """
    if knobs is None:
        knobs = knobs_of(config)
    gates = gates_at(knobs, state.step)
    gradients, results = _gradients(detector, config, state, batch, knobs, stage)
    params = state.variables["params"]
    with jax.named_scope("update"):
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies by numbers of steps
            start = phase_start(config, state.step)
            transformation = build_optimizer(config, start, optimizer)
            updates, opt_state = transformation.update(gradients, state.opt_state, params)
            rate = rate_at(config, state.step, optimizer)
        updates = _only_trained(updates, config, state.step, stage)
        params = optax.apply_updates(params, updates)
        average = _moving_average(config, state.average, params, state.step)
    with jax.named_scope("metrics"):
        metrics = {
            **loss_metrics(results.losses),
            **origin(results.wrong, gradients, batch.image_index),
            "gradient_norm": optax.tree.norm(gradients),
            **rate,
        }
    if not config.model.proposals.stop_gradient:
        names = ("gate_pooling", "gate_targets")
        metrics |= {name: jnp.asarray(x) for name, x in zip(names, gates, strict=True)}
    if config.train.diagnostics.every:
        losses = tuple(results.losses)
        metrics |= diagnostics_at(detector, config, state, batch, knobs, stage, losses, optimizer)
    variables = {**state.variables, "params": params, "batch_stats": results.batch_stats}
    return TrainState(state.step + 1, variables, opt_state, average), metrics


class _Results(NamedTuple):
    """What a step's forward pass gives beside the total loss."""

    losses: dict[str, Array]  # those that the stage trains on
    batch_stats: Any
    wrong: Wrong


def _gradients(
    detector: Detector, config: Config, state: TrainState, batch: Batch, knobs: Knobs, stage: Stage
) -> tuple[Any, _Results]:
    """Gradients of all parameters, and what the forward pass gave."""
    key, gates = step_key(knobs.seed, state.step), gates_at(knobs, state.step)
    params, batch_stats = state.variables["params"], state.variables["batch_stats"]
    proposals = None
    if stage == "fast_rcnn":
        proposals = proposals_for(detector, state.variables, batch)

    def total_loss(trained: Any) -> tuple[Array, _Results]:
        trained = without_frozen_gradients(trained, config)
        variables = {**state.variables, "params": {**params, **trained}}
        losses, variables, flow = detector.train(
            detector, variables, batch, key, gates=gates, proposals=proposals
        )
        used = {name: getattr(losses, name) for name in losses_of(stage, losses._fields)}
        statistics = {part: variables["batch_stats"][part] for part in trained}
        wrong = wrong_outputs(
            flow, stage, batch.image_weights, config.model.box_head, detector.roi_losses
        )
        results = _Results(used, {**batch_stats, **statistics}, wrong)
        return sum(used.values(), start=jnp.zeros(())), results

    def gradients_in(parts: Sequence[str]) -> tuple[Any, _Results]:
        trained = {part: params[part] for part in parts}
        gradients, results = jax.grad(total_loss, has_aux=True)(trained)
        return {**jax.tree.map(jnp.zeros_like, params), **gradients}, results

    parts = STAGE_PARTS[stage]
    if stage == "joint":
        return gradients_in(parts)
    # In one program for both, and at the cost of that which is taken.
    return jax.lax.cond(
        trains_backbone(config, state.step),
        lambda: gradients_in(parts),
        lambda: gradients_in([part for part in parts if part != "backbone"]),
    )


def _only_trained(updates: Any, config: Config, step: Array, stage: Stage) -> Any:
    """The updates with zeros for the parts that are not trained: they must not decay either."""
    if stage == "joint":
        return updates
    trained: dict[str, Any] = {part: part in STAGE_PARTS[stage] for part in updates}
    trained["backbone"] = trains_backbone(config, step)
    return {
        part: jax.tree.map(lambda x, keep=trained[part]: jnp.where(keep, x, 0), tree)
        for part, tree in updates.items()
    }


def eval_step(
    detector: Detector, variables: Variables, batch: Batch, seed: jax.typing.ArrayLike
) -> tuple[Detections, dict[str, Array]]:
    """Detections and validation losses of a batch; both share one pass of the backbone.

    The losses' draws depend on the seed and the image alone, so that they compare over a run.
    Where the batch brings proposals they are used, and the RPN, which nobody trained, has no loss.
    """
    proposals = None
    if batch.proposals is not None or "proposer" in variables:
        proposals = proposals_for(detector, variables, batch)
    losses, _, _ = detector.train(
        detector, variables, batch, step_key(seed, 0), train=False, proposals=proposals
    )
    detections = detector.infer(
        detector, variables, batch.images, batch.image_sizes, batch.proposals
    )
    names = losses_of("joint" if batch.proposals is None else "fast_rcnn", losses._fields)
    return detections, loss_metrics({name: getattr(losses, name) for name in names})


def loss_metrics(losses: Mapping[str, Array]) -> dict[str, Array]:
    """The losses by the names that they have in metrics.jsonl, after "train/" or "eval/"."""
    total = sum(losses.values(), start=jnp.zeros(()))
    return {"loss": total, **{f"loss_{k}": v for k, v in losses.items()}}


def _moving_average(config: Config, average: Any, params: Any, step: Array) -> Any:
    """Exponential moving average, with a shorter memory in the first steps (as TensorFlow's)."""
    if average is None:
        return None
    step = step.astype(jnp.float32)
    decay = jnp.minimum(config.train.optimizer.ema_decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, p: a + (1.0 - decay) * (p - a), average, params)

"""One step of training, one traced function: forward, losses, gradients, update."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, forward_propose, proposals_for
from jaxrcnn.training.alternating import (
    STAGE_PARTS,
    Stage,
    losses_of,
    phase_start,
    trains_backbone,
)
from jaxrcnn.training.diagnostics import diagnostics_at
from jaxrcnn.training.divergence import Wrong, of_parameters, origin, wrong_outputs
from jaxrcnn.training.finite import SKIPPED, guard, on_all_devices
from jaxrcnn.training.gates import gates_at
from jaxrcnn.training.knobs import Knobs, knobs_of, step_key
from jaxrcnn.training.layers import without_frozen_gradients
from jaxrcnn.training.optimizer import (
    GUARDED,
    Optimizer,
    build_optimizer,
    chosen,
    default_optimizer,
    rate_at,
)
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch, Detections, Proposals


def train_step(
    detector: Detector,
    config: Config,
    state: TrainState,
    batch: Batch,
    knobs: Knobs | None = None,
    skipped: jax.typing.ArrayLike = 0,
    stage: Stage = "joint",
    optimizer: Optimizer = default_optimizer,
) -> tuple[TrainState, dict[str, Array]]:
    """Forward, losses, gradients and update, which is left out if any of them is not finite.

    Args:
        detector: static.
        config: static.
        state: replicated over the devices.
        batch: sharded over the devices along its images; stage "fast_rcnn" takes its proposals
            where it has some, else those of variables["proposer"].
        knobs: seed and schedule of the gradient gate; by default the config's.
        skipped: number of steps in a row, the last ones, whose updates were left out.
        stage: static; what is trained.
        optimizer: static; as that of the state.

    Returns:
        The next state, and what to log, scalars in float32; SKIPPED among it is for the next step.
    """
    if knobs is None:
        knobs = knobs_of(config)
    gates = gates_at(knobs, state.step)
    gradients, results = step_gradients(detector, config, state, batch, knobs, stage)
    total = loss_metrics(results.losses)
    where = origin(results.wrong, gradients, batch.image_index, results.batch_stats)
    if optimizer is not default_optimizer:  # whose update of finite gradients is finite
        new, _, _ = step_update(config, state, gradients, stage, optimizer)
        where = of_parameters(where, new)
    finite = on_all_devices(jnp.isfinite(total["loss"]) & (where["origin_place"] < 0))
    applied, step, count = guard(config, state.step, finite, jnp.asarray(skipped, jnp.int32))
    params, opt_state, average = _guarded_update(
        config, state, gradients, stage, optimizer, applied
    )
    batch_stats = chosen(applied, results.batch_stats, state.variables["batch_stats"])
    with jax.numpy_dtype_promotion("standard"):  # a schedule multiplies by numbers of steps
        rate = rate_at(config, state.step, optimizer)
    with jax.named_scope("metrics"):
        metrics = {
            **total,
            **where,
            "gradient_norm": optax.tree.norm(gradients),
            **rate,
            SKIPPED: count,
        }
    if not config.model.proposals.stop_gradient:
        names = ("gate_pooling", "gate_targets")
        metrics |= {name: jnp.asarray(x) for name, x in zip(names, gates, strict=True)}
    if config.train.diagnostics.every:
        losses = tuple(results.losses)
        metrics |= diagnostics_at(detector, config, state, batch, knobs, stage, losses, optimizer)
    variables = {**state.variables, "params": params, "batch_stats": batch_stats}
    return TrainState(step, variables, opt_state, average), metrics


class StepResults(NamedTuple):
    """What a step's forward pass gives beside the total loss."""

    losses: dict[str, Array]  # those that the stage trains on
    batch_stats: Any
    wrong: Wrong


def step_gradients(
    detector: Detector, config: Config, state: TrainState, batch: Batch, knobs: Knobs, stage: Stage
) -> tuple[Any, StepResults]:
    """Gradients of all parameters, and what the forward pass gave."""
    key, gates = step_key(knobs.seed, state.step), gates_at(knobs, state.step)
    params, batch_stats = state.variables["params"], state.variables["batch_stats"]
    proposals = None
    if stage == "fast_rcnn":
        proposals = proposals_for(detector, state.variables, batch)

    def total_loss(trained: Any) -> tuple[Array, StepResults]:
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
        results = StepResults(used, {**batch_stats, **statistics}, wrong)
        return sum(used.values(), start=jnp.zeros(())), results

    def gradients_in(parts: Sequence[str]) -> tuple[Any, StepResults]:
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


def step_update(
    config: Config,
    state: TrainState,
    gradients: Any,
    stage: Stage,
    optimizer: Optimizer,
    applied: Array | bool = True,
) -> tuple[Any, Any, Any]:
    """The parameters, the optimiser's state and the moving average after an update.

    They are those of the state, bit for bit, if it is not applied.
    """
    old = state.variables["params"]
    ours = optimizer is default_optimizer
    with jax.named_scope("update"):
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies by numbers of steps
            start = phase_start(config, state.step)
            transformation: Any = build_optimizer(config, start, optimizer)
            more = {"applied": applied} if ours else {}
            updates, opt_state = transformation.update(gradients, state.opt_state, old, **more)
        updates = _only_trained(updates, config, state.step, stage)
        params = optax.apply_updates(old, updates)
        average = _moving_average(config, state.average, params, state.step)
        if applied is True:
            return params, opt_state, average
        return (
            chosen(applied, params, old),
            chosen(applied, opt_state, state.opt_state, GUARDED if ours else ()),
            chosen(applied, average, state.average),
        )


def _guarded_update(
    config: Config,
    state: TrainState,
    gradients: Any,
    stage: Stage,
    optimizer: Optimizer,
    applied: Array,
) -> tuple[Any, Any, Any]:
    """The update, or what the state has; on a CPU, Adam's is a branch.

    XLA's CPU backend would else keep old and new moments at once, in passes that cost a small
    detector a third of its step.
    """

    def in_passes() -> tuple[Any, Any, Any]:
        return step_update(config, state, gradients, stage, optimizer, applied)

    def in_branch() -> tuple[Any, Any, Any]:
        old = state.variables["params"], state.opt_state, state.average
        return jax.lax.cond(
            applied, lambda: step_update(config, state, gradients, stage, optimizer), lambda: old
        )

    if optimizer is default_optimizer and config.train.optimizer.name == "adamw":
        return jax.lax.platform_dependent(cpu=in_branch, default=in_passes)
    return in_passes()


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
) -> tuple[Detections, dict[str, Array], Proposals | None]:
    """Detections, validation losses and proposals of a batch, which share a pass of the backbone.

    The losses' draws depend on the seed and the image alone, so that they compare over a run.
    Where the batch brings proposals they are used, and the RPN, which nobody trained, has no loss
    and proposes nothing.
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
    proposed = None
    if batch.proposals is None:  # those that infer looks into; XLA computes them once
        proposed = forward_propose(detector, variables, batch.images, batch.image_sizes)
    names = losses_of("joint" if batch.proposals is None else "fast_rcnn", losses._fields)
    return detections, loss_metrics({name: getattr(losses, name) for name in names}), proposed


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

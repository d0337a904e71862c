"""Gradients by loss and by route of the gate, of one step and whatever its own gate is."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import ProposalsConfig
from jaxrcnn.detector import Detector, Variables, proposals_for
from jaxrcnn.training.alternating import RPN_LOSSES, STAGE_PARTS, Stage, losses_of
from jaxrcnn.training.knobs import Knobs
from jaxrcnn.training.modules import OFFSETS, Probe, module_norms, offsets_for
from jaxrcnn.types import Array, Batch, Flow, Gates, Losses, Proposals, at_least_float32

Route = Literal["direct", "pooling", "targets", "open"]
"""Past the gate; through it, on one route; or both, through it as wide as the run ever opens it."""


class Row(NamedTuple):
    """One gradient to take."""

    losses: tuple[str, ...]  # whose sum is differentiated
    route: Route
    gates: Gates


def rows_of(stage: Stage, losses: Sequence[str], widest: Gates) -> list[Row]:
    """The gradients to take, in order: a loss's direct one comes before those of its routes.

    A gradient is linear in the gates, so that a route's own is the one with that gate open less the
    direct one.

    Args:
        stage: what is trained.
        losses: those that it trains on, by name.
        widest: how wide the gate ever opens.
    """
    closed = Gates(0.0, 0.0)
    if stage != "joint":  # nothing leads to the proposals
        return [Row((loss,), "direct", closed) for loss in losses]
    rows = [Row((loss,), "direct", closed) for loss in losses_of("rpn", losses)]
    second_stage = losses_of("fast_rcnn", losses)
    for loss in second_stage:
        rows.append(Row((loss,), "direct", closed))
        rows.append(Row((loss,), "pooling", Gates(1.0, 0.0)))
        rows.append(Row((loss,), "targets", Gates(0.0, 1.0)))
    # Limits on the gradient are not linear, so that this is not always the sum of those above.
    return [*rows, Row(second_stage, "open", widest)]


def widest_gates(config: ProposalsConfig, knobs: Knobs) -> Gates:
    """How wide the gate ever opens; where it never does, how wide it could."""
    if config.stop_gradient:
        return Gates(1.0, 1.0)
    return Gates(knobs.pooling_gradient, knobs.target_gradient)


class Setting(NamedTuple):
    """What all gradients of a step have in common."""

    detector: Detector  # its gate can be open, and its backbone is a Probe
    variables: Variables
    batch: Batch
    key: Array
    proposals: Proposals | None  # of another network
    offsets: tuple[Array, ...]  # zeros, see Probe
    stage: Stage
    losses: tuple[str, ...]  # what the stage trains on, by name

    @property
    def trained(self) -> dict[str, Any]:
        """The parameters of the parts that the stage trains."""
        return {part: self.variables["params"][part] for part in STAGE_PARTS[self.stage]}


def set_up(
    detector: Detector,
    variables: Variables,
    batch: Batch,
    key: Array,
    stage: Stage,
    losses: Sequence[str] = Losses._fields,
) -> Setting:
    """The setting of a step.

    Args:
        detector, variables, batch, key: as those of `forward_train`.
        stage: what is trained.
        losses: all that the detector has, by name.
    """
    proposals = None
    if stage == "fast_rcnn":
        proposals = proposals_for(detector, variables, batch)
    gate = dataclasses.replace(
        detector.config.proposals, stop_gradient=False, pooling_gradient=1.0, target_gradient=1.0
    )
    opened = detector._replace(
        config=dataclasses.replace(detector.config, proposals=gate),
        backbone=Probe(detector.backbone),
    )
    offsets = offsets_for(detector, variables, batch.images)
    trained_on = losses_of(stage, losses)
    return Setting(opened, variables, batch, key, proposals, offsets, stage, trained_on)


def weighted_loss(
    setting: Setting,
    trained: Mapping[str, Any],
    offsets: tuple[Array, ...],
    factors: Mapping[str, Array | float],
    gates: Gates,
) -> tuple[Array, Flow]:
    """Sum of losses times their factors, and what went along the arrows."""
    params = {**setting.variables["params"], **trained}
    params["backbone"] = {**params["backbone"], OFFSETS: offsets}
    losses, _, flow = setting.detector.train(
        setting.detector,
        {**setting.variables, "params": params},
        setting.batch,
        setting.key,
        gates=gates,
        proposals=setting.proposals,
    )
    return sum((f * getattr(losses, k) for k, f in factors.items()), start=jnp.zeros(())), flow


def gradient_of(
    setting: Setting, factors: Mapping[str, Array | float], gates: Gates
) -> tuple[dict[str, Any], Flow]:
    """Gradients in the trained parts and, under "features", in the feature maps."""
    (parts, maps), flow = jax.grad(weighted_loss, argnums=(1, 2), has_aux=True)(
        setting, setting.trained, setting.offsets, factors, gates
    )
    return {**parts, "features": jax.tree.map(at_least_float32, maps)}, flow


class Taken(NamedTuple):
    """The gradients of all rows, as far as they are kept: memory does not grow with the rows."""

    norms: dict[str, Array]  # module -> (rows,), of a row's own gradient
    sums: dict[str, Any]  # of own gradients, trees as gradient_of's; in joint training only
    seen: Any  # what `look` made of the flow


def take(
    setting: Setting, rows: Sequence[Row], look: Callable[[Flow], Any], curvature: bool
) -> Taken:
    """Take the gradients one after the other, so that the backward pass is compiled once.

    The sums are ``rpn``, of the RPN's losses; ``closed`` and ``open``, of the second stage's with
    the gate closed and at its widest; and with `curvature` ``pooling``, of that route.
    """
    table = {
        "factors": {
            loss: jnp.array([float(loss in row.losses) for row in rows]) for loss in setting.losses
        },
        "gates": Gates(*(jnp.array(x) for x in zip(*(row.gates for row in rows), strict=True))),
        "is_direct": jnp.array([row.route == "direct" for row in rows]),
        "is_route": jnp.array([row.route in ("pooling", "targets") for row in rows]),
        "sums": {k: jnp.array(x) for k, x in _summed(rows, curvature).items()},
    }

    def take_one(carry: tuple[Any, Any], row: Any) -> tuple[tuple[Any, Any], Any]:
        direct, sums = carry
        whole, flow = gradient_of(setting, row["factors"], row["gates"])
        own = jax.tree.map(lambda x, d: jnp.where(row["is_route"], x - d, x), whole, direct)
        direct = jax.tree.map(lambda x, d: jnp.where(row["is_direct"], x, d), whole, direct)
        # Not times 0 or 1: one loss that is not finite must not spoil the others' sums.
        sums = {
            name: jax.tree.map(lambda s, x, on=row["sums"][name]: jnp.where(on, s + x, s), y, own)
            for name, y in sums.items()
        }
        return (direct, sums), (module_norms(own), look(flow))

    maps = jax.tree.map(at_least_float32, setting.offsets)
    zeros = {**jax.tree.map(jnp.zeros_like, setting.trained), "features": maps}
    start = zeros, dict.fromkeys(table["sums"], zeros)
    (_, sums), (norms, seen) = jax.lax.scan(take_one, start, table)
    return Taken(norms, sums, jax.tree.map(lambda x: x[0], seen))


def _summed(rows: Sequence[Row], curvature: bool) -> dict[str, list[bool]]:
    """Which rows' own gradients are added up: name -> a bool for each row."""
    if rows[-1].route != "open":
        return {}
    kinds: dict[str, Callable[[Row], bool]] = {
        "rpn": lambda row: row.losses[0] in RPN_LOSSES,
        "closed": lambda row: row.losses[0] not in RPN_LOSSES and row.route == "direct",
        "open": lambda row: row.route == "open",
    }
    if curvature:
        kinds["pooling"] = lambda row: row.route == "pooling"
    return {name: [belongs(row) for row in rows] for name, belongs in kinds.items()}

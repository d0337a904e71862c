"""Alternating training (paper, section 3.2, i): the RPN and Fast R-CNN in turn, in one process.

What the paper calls a step is a phase here, since a step is one update. Where a phase begins and
what it trains follows from the number of steps done, so that a run resumes in the middle of any.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import AlternatingStep, Config, ConfigError
from jaxrcnn.detector import COLLECTIONS, Variables
from jaxrcnn.training.columns import aligned
from jaxrcnn.types import Array

Stage = Literal["joint", "rpn", "fast_rcnn"]
"""What a step trains; each is one compiled program."""

RPN_LOSSES = ("rpn_objectness", "rpn_box")
"""The losses of the RPN; all others are the second stage's."""

STAGE_PARTS: dict[Stage, tuple[str, ...]] = {
    "joint": ("backbone", "rpn_head", "box_head"),
    "rpn": ("backbone", "rpn_head"),
    "fast_rcnn": ("backbone", "box_head"),
}

PROPOSER_PARTS = ("backbone", "rpn_head")
"""What proposals need."""


def losses_of(stage: Stage, names: Iterable[str]) -> tuple[str, ...]:
    """Which of a detector's losses a stage trains on, by their names."""
    if stage == "joint":
        return tuple(names)
    return tuple(name for name in names if (name in RPN_LOSSES) == (stage == "rpn"))


class Phase(NamedTuple):
    """One step of the scheme, and where it stands in the run."""

    number: int  # from 0
    first_step: int  # steps done before it
    step: AlternatingStep


def phases(config: Config) -> tuple[Phase, ...]:
    """The phases of a run; none for joint training."""
    if config.train.scheme == "joint":
        return ()
    steps = config.train.alternating.steps
    first = itertools.accumulate((step.steps for step in steps), initial=0)
    return tuple(Phase(*row) for row in zip(itertools.count(), first, steps, strict=False))


def phase_of(config: Config, step: int) -> Phase | None:
    """The phase that the step after so many belongs to; the last one at the end."""
    begun = [phase for phase in phases(config) if phase.first_step <= step]
    return begun[-1] if begun else None


def stage_of(config: Config, step: int) -> Stage:
    """What the step after so many trains."""
    phase = phase_of(config, step)
    return "joint" if phase is None else phase.step.trains


def phase_start(config: Config, step: Array) -> Array:
    """Steps done before the phase of a traced step, int32: 0 in joint training."""
    starts = [phase.first_step for phase in phases(config)] or [0]
    begun = jnp.array(starts, jnp.int32)
    return jnp.max(jnp.where(begun <= step, begun, 0))


def trains_backbone(config: Config, step: Array) -> Array:
    """Whether the phase of a traced step trains the backbone, bool."""
    start = phase_start(config, step)
    frozen = [phase.first_step for phase in phases(config) if phase.step.backbone == "frozen"]
    return ~jnp.isin(start, jnp.array(frozen, jnp.int32))


def begins_phase(config: Config, step: int) -> bool:
    """Whether a new phase begins after so many steps, the first not counted."""
    return 0 < step < config.train.steps and any(
        phase.first_step == step for phase in phases(config)
    )


def takes_given(config: Config, step: int) -> bool:
    """Whether the step after so many trains Fast R-CNN on given proposals: no RPN came before."""
    begun = [phase.step.trains for phase in phases(config) if phase.first_step <= step]
    return bool(begun) and "rpn" not in begun


def has_proposer(config: Config) -> bool:
    """Whether a network of the run proposes to another: Fast R-CNN is trained after an RPN."""
    trained = [phase.step.trains for phase in phases(config)]
    return any(pair == ("rpn", "fast_rcnn") for pair in itertools.combinations(trained, 2))


def proposer_of(variables: Variables) -> dict[str, Any]:
    """A copy of the network that proposes."""
    parts = {c: {k: variables[c][k] for k in PROPOSER_PARTS} for c in COLLECTIONS}
    return jax.tree.map(jnp.copy, parts)


def start_phase(
    config: Config, state: Any, first: Callable[[], Any], draw: Callable[[int], Any]
) -> Any:
    """The state with which a phase begins, made of the one with which the last ended.

    The result of a phase is the moving average of its parameters where there is one. Momenta begin
    anew, as in py-faster-rcnn, where every step is a process of its own.

    Args:
        config: of the run.
        state: after the last step of the phase before.
        first: makes the state at step 0, with the pre-trained weights.
        draw: makes a state whose parameters are drawn for a given number, other than at step 0.
    """
    before, phase = (phase_of(config, int(state.step) - back) for back in (1, 0))
    if before is None or phase is None:
        raise ValueError("joint training has no phases")
    params = state.variables["params"] if state.average is None else state.average
    variables = {**state.variables, "params": params}
    fresh = draw(phase.number)
    if before.step.trains == "rpn" and has_proposer(config):
        variables["proposer"] = proposer_of(variables)
    if phase.step.backbone == "pretrained":
        variables = _replace(variables, first().variables, ("backbone",))
    for name in phase.step.restart:
        variables = _replace(variables, fresh.variables, tuple(name.split("/")))
    params = jax.tree.map(jnp.copy, variables["params"])  # a step donates each of its arrays once
    return state._replace(
        variables={**variables, "params": params},
        opt_state=fresh.opt_state,
        average=None if state.average is None else jax.tree.map(jnp.copy, params),
    )


def check_restarts(config: Config, variables: Variables) -> None:
    """See before a run that all parts which a phase begins anew are there.

    Raises:
        ConfigError: one is not; names those that are.
    """
    for name in itertools.chain(*(phase.step.restart for phase in phases(config))):
        *groups, last = name.split("/")
        tree: Any = variables["params"]
        for group in groups:
            tree = tree.get(group, {})
        if last not in tree:
            raise ConfigError(
                f"train.alternating.steps: there is no {name} to restart; "
                f"{'/'.join(groups) or 'the detector'} has {', '.join(sorted(tree)) or 'no parts'}"
            )


def _replace(variables: Variables, source: Variables, path: tuple[str, ...]) -> dict[str, Any]:
    """The variables with one part, or one layer of it, taken from others."""
    return {
        collection: _replace_in(tree, source[collection], path)
        if collection in COLLECTIONS
        else tree
        for collection, tree in variables.items()
    }


def _replace_in(tree: Any, source: Any, path: tuple[str, ...]) -> Any:
    name, *rest = path
    if name not in tree:  # a layer may have no constants or statistics
        return tree
    return {
        **tree,
        name: _replace_in(tree[name], source[name], tuple(rest)) if rest else source[name],
    }


def finished(config: Config, variables: Variables, step: int) -> Variables:
    """The variables to evaluate after so many steps.

    Fast R-CNN needs the network that proposed to it no more where it shares that one's backbone,
    which is frozen. An RPN proposes itself.
    """
    phase = phase_of(config, step - 1)
    if phase is None or (phase.step.trains == "fast_rcnn" and phase.step.backbone != "frozen"):
        return variables
    return {collection: variables[collection] for collection in COLLECTIONS}


def describe_phases(config: Config) -> list[str]:
    """A table of what every phase carries on, freezes and begins anew; none for joint training."""
    rows = [("step", "trains", "backbone", "re-initialised", "proposals of", "steps", "drops at")]
    source = config.data.train_proposals
    for number, first_step, step in phases(config):
        proposals = source if step.trains == "fast_rcnn" else "-"
        rows.append(
            (
                str(number + 1),
                "RPN" if step.trains == "rpn" else "Fast R-CNN",
                step.backbone if step.backbone != "previous" else "of step before",
                ", ".join(step.restart) or "-",
                proposals,
                f"{first_step + 1} to {first_step + step.steps}",
                ", ".join(str(first_step + m) for m in step.milestones) or "-",
            )
        )
        source = f"step {number + 1}" if step.trains == "rpn" else source
    return aligned(rows) if len(rows) > 1 else []

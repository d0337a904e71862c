"""Which fields of a run may change as it is resumed: those that leave what is done as it was."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import UNKEPT, config_differences, field_values
from jaxrcnn.training.history import Change
from jaxrcnn.wording import counted

ANY_TIME = (
    "data.test_split",
    "data.workers",
    "data.read_timeout",
    "data.max_skipped_share",
    "train.log_every",
    "train.eval_every",
    "train.checkpoint_every",
    "train.checkpoint_minutes",
    "train.keep_checkpoints",
    "train.keep_best",
    "train.on_bad_checkpoint",
    "train.on_changed_data",
    "train.on_nonfinite",
    "train.max_skipped",
    "train.stop_seconds",
    "train.watchdog",
    "train.mesh.data",
    "train.mesh.fsdp",
    "train.patience",
    "train.trackers",
    "train.diagnostics.every",
    "train.diagnostics.curvature",
    "eval.metric",
    "eval.backend",
    "eval.max_detections",
    "eval.batch_size",
    "eval.images",
)
"""Fields that no step already done depends on, but for rounding: diagnostics and another mesh add
numbers up in another order."""

STILL_AHEAD = ("train.steps", "train.epochs", "train.optimizer.milestones")
"""Fields of which the part that is still ahead may change, in joint training."""

MOVED = ("data.root", "data.image_roots")
"""Fields that say where the data are; they may change if the data are known to be the same."""


def resumed_config(
    there: Config, here: Config, step: int, moved: bool = False
) -> tuple[Config, list[Change]]:
    """The config with which a run is resumed, and what changes with it.

    The warm-up and the milestones are computed from train.epochs. Where that changes, those of the
    run's own config are kept, because they have shaped what is done.

    Args:
        there: config that the run has.
        here: config that is asked for.
        step: steps done.
        moved: whether data.root may differ, since the data that are there were compared.

    Raises:
        ConfigError: a field differs that may not, or less is asked for than is done.
    """
    if there.train.epochs != here.train.epochs and "train.epochs" in _changeable(here):
        own = there.train.optimizer
        optimizer = replace(
            here.train.optimizer, warmup_steps=own.warmup_steps, milestones=own.milestones
        )
        here = replace(here, train=replace(here.train, optimizer=optimizer))
    _check(there, here, step, (*_changeable(here), *(MOVED if moved else ())))
    theirs, ours = field_values(there), field_values(here)
    return here, [
        Change(step, name, theirs[name], ours[name])
        for name in ours
        if theirs[name] != ours[name] and name.split(".")[0] not in UNKEPT
    ]


def describe_changes(config: Config, changes: Sequence[Change]) -> list[str]:
    """A line for each change, and what becomes of a schedule that depends on the length."""
    lines = [f"from step {x.step} on, {x.field}={x.after} (was {x.before})" for x in changes]
    if any(change.field == "train.epochs" for change in changes):
        wanted = config.train.optimizer
        lines.append(
            f"train.optimizer.warmup_steps={wanted.warmup_steps} and milestones="
            f"{wanted.milestones} stay as they were: train.epochs does not change them"
        )
    steps = [change for change in changes if change.field == "train.steps" and change.step]
    if steps and config.train.optimizer.schedule == "cosine":
        lines.append(
            f"train.optimizer.schedule=cosine depends on train.steps: the first {steps[0].step} "
            f"steps were trained with the learning rates of a run of {steps[0].before} steps, the "
            f"others get those of a run of {steps[0].after}, so the rate jumps here"
        )
    return lines


def _changeable(config: Config) -> tuple[str, ...]:
    """Names of the fields that may change, at least in part."""
    # An alternating run's steps are those of its phases, which decide what was trained.
    return ANY_TIME + (() if config.train.scheme == "alternating" else STILL_AHEAD)


def _check(there: Config, here: Config, step: int, free: Sequence[str]) -> None:
    refused = [
        line for line in config_differences(there, here) if line.partition(" ")[0] not in free
    ]
    if refused:
        done = (
            f", which would have changed the {counted(step, 'step')} already done" if step else ""
        )
        weights = "; --from with this workdir starts it from these weights" if step else ""
        raise ConfigError(
            f"it holds a run with a different config ({'; '.join(refused)}){done}. Use the same "
            f"values to resume it, or another --workdir to start a new run{weights}"
        )
    if here.train.steps < step:
        raise ConfigError(
            f"train.steps={here.train.steps} is less than the {counted(step, 'step')} already "
            f"done: use at least {step} to resume the run, or another --workdir to start a new one"
        )
    past = _past_milestones(there, step)
    if _past_milestones(here, step) != past:
        raise ConfigError(
            f"train.optimizer.milestones={here.train.optimizer.milestones} changes the learning "
            f"rate of the {counted(step, 'step')} already done: before step {step}, keep {past}"
        )


def _past_milestones(config: Config, step: int) -> tuple[Any, ...]:
    """Those that the steps done have seen: step s, from 0, is behind milestone s."""
    return tuple(m for m in config.train.optimizer.milestones if m < step)

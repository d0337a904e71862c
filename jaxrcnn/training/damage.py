"""What becomes of a run whose last checkpoints are damaged."""

import pathlib
from typing import NamedTuple

from jaxrcnn.config import Config
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.history import redo_from
from jaxrcnn.training.hosts import barrier, from_first, is_first
from jaxrcnn.training.step_folders import folder_of, set_aside


class Damage(NamedTuple):
    """Which checkpoint a run goes on from, and which later ones are damaged."""

    good: int  # step of the checkpoint to go on from; 0 where there is none
    faults: dict[int, str]  # by step, the last first: what is wrong


def find_damage(workdir: pathlib.Path, config: Config) -> Damage:
    """Where to go on from; checkpoints are read only if train.on_bad_checkpoint is last_good.

    With several processes, the first of them looks and tells the others.

    Raises:
        CheckpointError: there are checkpoints, but none is whole.
    """
    return from_first(lambda: _find(workdir, config))


def _find(workdir: pathlib.Path, config: Config) -> Damage:
    last = last_step(workdir)
    if config.train.on_bad_checkpoint == "stop" or not last:
        return Damage(last, {})
    faults: dict[int, str] = {}
    with Checkpoints(workdir) as checkpoints:
        for step in reversed(checkpoints.steps):
            fault = checkpoints.fault(step)
            if not fault:
                return Damage(step, faults)
            faults[step] = fault
    raise CheckpointError(f"{faults[last]}. No other checkpoint is intact")


def leave_out(workdir: pathlib.Path, damage: Damage) -> list[str]:
    """Rename damaged checkpoints, so that a run goes on from the last good one.

    Returns:
        A line for each, for a person.

    Raises:
        CheckpointError: one cannot be renamed.
    """
    lines = []
    if damage.faults:  # first, since a run that dies behind the renaming finds no damage any more
        redo_from(workdir, damage.good)
    barrier("looking for damaged checkpoints")  # all have seen it
    for step, fault in damage.faults.items() if is_first() else ():
        name = set_aside(folder_of(workdir) / str(step)).name
        lines.append(
            f"note: {fault}. It is renamed to {name}, and training resumes from step {damage.good}"
        )
    barrier("renaming damaged checkpoints")
    return lines

"""Which runs of a study are not done yet, and how long they will take."""

import pathlib
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from jaxrcnn.study.plan import Key, Plan, Unit, folder_of, units_of
from jaxrcnn.study.results import RunResult
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.checkpoint import last_step


class Left(NamedTuple):
    """A unit of runs, and how far it is."""

    unit: Unit
    ended: tuple[str, ...]  # how its runs ended; empty if they have not
    steps: int  # that its checkpoint has done; of one that has not begun 0

    def describe(self, steps: int) -> str:
        """How far it is, of so many steps."""
        if self.ended:
            return ", ".join(dict.fromkeys(self.ended))
        return f"at step {self.steps} of {steps}" if self.steps else "-"


def find_left(plan: Plan, results: Mapping[Key, RunResult], workdir: pathlib.Path) -> list[Left]:
    """The progress of all units of a study; nothing is written.

    Raises:
        ConfigError: a folder holds a run of another config.
    """
    return [_left(plan, unit, results, workdir) for unit in units_of(plan)]


def _left(plan: Plan, unit: Unit, results: Mapping[Key, RunResult], workdir: pathlib.Path) -> Left:
    folders = [folder_of(workdir, *key) for key in unit.keys]
    for variant, folder in zip(unit.variants, folders, strict=True):
        if (folder / "config.json").exists():
            run_folder.claim(folder, plan.config_of(variant, unit.seed))
    if all(key in results for key in unit.keys):
        return Left(unit, tuple(results[key].status for key in unit.keys), plan.config.train.steps)
    shared = workdir / "together" / str(unit.seed)
    return Left(unit, (), last_step(shared if plan.together else folders[0]))


def steps_left(plan: Plan, units: list[Left]) -> int:
    """Training steps of all remaining runs."""
    steps = plan.config.train.steps
    return sum((steps - left.steps) * len(left.unit.variants) for left in units if not left.ended)


def seconds_left(
    plan: Plan, units: list[Left], results: Mapping[Key, RunResult], jobs: int
) -> float | None:
    """Estimate the seconds that all remaining runs will take; None if none has finished so far.

    The estimate for a run is the median of its variant's finished runs, or of all finished runs.

    Args:
        plan: of the study.
        units: all of them.
        results: of the runs that have ended.
        jobs: runs at a time, both so far and from now on.
    """
    seconds = {
        # The former of a run that went on is of its last part alone.
        key: max(run.wall_seconds, run.train_seconds) / run.steps_done
        for key, run in results.items()
        if run.status == "finished" and run.wall_seconds and run.steps_done
    }
    if not seconds:
        return None
    total = 0.0
    for left in units:
        if not left.ended:
            names = {variant.name for variant in left.unit.variants}
            own = [value for (name, _), value in seconds.items() if name in names]
            step = statistics.median(own or seconds.values())
            total += step * (plan.config.train.steps - left.steps)
    return total / jobs

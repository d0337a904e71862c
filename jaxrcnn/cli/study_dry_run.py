"""`python -m jaxrcnn study --dry-run`: list the runs and estimate how long they will take."""

import pathlib
from dataclasses import replace

from jaxrcnn.config import DiagnosticsConfig
from jaxrcnn.data.datasets import open_train_dataset
from jaxrcnn.recipe.timing import seconds_per_step
from jaxrcnn.study.forecast import find_left, seconds_left, steps_left
from jaxrcnn.study.plan import Plan
from jaxrcnn.study.records import check_results, known_results, runs_at_a_time
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.columns import aligned
from jaxrcnn.training.pieces import build_detector
from jaxrcnn.training.progress import Progress
from jaxrcnn.wording import counted


def dry_run(plan: Plan, workdir: pathlib.Path) -> int:
    """List all runs of a study and estimate how long the remaining ones take; write nothing.

    Raises:
        ConfigError: the folder holds another study.
        DataError: the data cannot be read.
    """
    results = known_results(workdir)
    check_results(results, plan, workdir)
    units, steps = find_left(plan, results, workdir), plan.config.train.steps
    rows = [(str(left.unit), left.describe(steps)) for left in units]
    print(*aligned([("run", "done"), *rows]), sep="\n")
    number = sum(len(left.unit.variants) for left in units if not left.ended)
    total = counted(len(plan.variants) * len(plan.seeds), "run")
    if not number:
        print(f"\nall {total} are done")
        return 0
    todo = f"\n{number} of {total} to do, {counted(steps_left(plan, units), 'step')}"
    seconds = seconds_left(plan, units, results, runs_at_a_time(workdir))
    if seconds is not None:
        print(f"{todo}: about {format_duration(seconds)}, estimated from the runs that are done")
        return 0
    print(todo, flush=True)
    step = _measured(plan, workdir)
    print(
        f"about {format_duration(step * steps_left(plan, units))}, plus compilation, evaluation "
        "and diagnostics "
        f"(measured: {step:.2g} s per step of {plan.variants[0].name!r} on all cores)"
    )
    return 0


def _measured(plan: Plan, workdir: pathlib.Path) -> float:
    """Seconds per joint training step of the first variant, without diagnostics."""
    variant = plan.variants[0]
    train = replace(variant.config.train, scheme="joint", diagnostics=DiagnosticsConfig())
    config = replace(variant.config, train=train)
    detector = build_detector(config.model, variant.build, workdir)
    with Progress(config.train.steps) as progress:
        return seconds_per_step(config, detector, open_train_dataset(config), progress)

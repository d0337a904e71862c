"""The runs of a study, in one process, so that compiled programs are shared.

Each has an ordinary run folder: it can be resumed from its last checkpoint, evaluated and used. Its
results are collected in study.json.
"""

import contextlib
import pathlib
import time
from collections.abc import Generator, Sequence
from typing import NamedTuple

from jaxrcnn.config import Config
from jaxrcnn.data.fingerprint_file import describe_data
from jaxrcnn.data.split_file import copy_split
from jaxrcnn.provenance import check_data
from jaxrcnn.runs import run
from jaxrcnn.study.forecast import find_left, seconds_left
from jaxrcnn.study.jobs import run_in_jobs
from jaxrcnn.study.plan import Plan, Sets, Unit, folder_of, open_sets, units_of
from jaxrcnn.study.records import (
    Results,
    check_results,
    describe_run,
    gather,
    known_results,
    runs_at_a_time,
    write_results,
)
from jaxrcnn.study.report import write_report
from jaxrcnn.study.resampled_runs import compare_runs
from jaxrcnn.study.results import Failure, Study, read_run
from jaxrcnn.study.side_by_side import run_side_by_side
from jaxrcnn.study.variants import varied_fields
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.lock import locked
from jaxrcnn.training.pieces import Build, build_detector, claim_pieces, own_pieces
from jaxrcnn.training.retries import write_patiently


class Outcome(NamedTuple):
    """How a unit ended."""

    failures: dict[str, Failure]  # by the variants that diverged; the others are finished
    seconds: float  # from start to end, everything included


def run_study(plan: Plan, workdir: pathlib.Path, jobs: int = 1) -> Study:
    """Do the runs that are not done yet; write study.json after each, and a report after each seed.

    Args:
        plan: of the study.
        workdir: its folder.
        jobs: number of parallel runs; more than one use processes, see `jaxrcnn.study.jobs`.

    Raises:
        ConfigError: a folder holds a run of another config or of another study, or is in use, or
            study.json cannot be read.
        DataError: the data cannot be read.
        JobError: one of several jobs cannot go on.
        Interrupted: SIGTERM, SIGINT or SIGHUP came, and the state of the run is saved.
    """
    with locked(workdir, print):
        sets, results = open_sets(plan, workdir), known_results(workdir)
        check_results(results, plan, workdir)
        left = _what_is_left(plan, results, workdir, sets)
        if not left:  # times in the report are of the runs as they were done
            jobs = runs_at_a_time(workdir)
        if jobs > 1:
            outcomes = run_in_jobs(plan, tuple(left), workdir, jobs)
        else:
            outcomes = _run_here(plan, tuple(left), workdir, sets)
        with contextlib.closing(outcomes):
            for unit, outcome in outcomes:
                results |= read_results(plan, unit, outcome, workdir)
                study = gather(plan, results, sets, jobs)
                write_results(study, workdir)
                left.remove(unit)
                if jobs > 1:
                    _say_ended(unit, results, plan, workdir, jobs)
                if left and all(other.seed != unit.seed for other in left):
                    _write_report(study, workdir)
        study = compare_runs(gather(plan, results, sets, jobs), workdir, sets[1], print)
        _write_report(study, workdir)
        return study


def _what_is_left(plan: Plan, results: Results, workdir: pathlib.Path, sets: Sets) -> list[Unit]:
    """The units that are not done; prints those that are, and checks the folders of all."""
    units, left = units_of(plan), []
    for number, unit in enumerate(units, 1):
        claim_unit(plan, unit, workdir, sets)
        if all(key in results for key in unit.keys):
            print(f"{unit} ({number} of {len(units)}): already done")
        else:
            left.append(unit)
    return left


def _run_here(
    plan: Plan, left: Sequence[Unit], workdir: pathlib.Path, sets: Sets
) -> Generator[tuple[Unit, Outcome]]:
    """Do units of runs, one after the other; yields each with its outcome."""
    total = len(units_of(plan))
    for number, unit in enumerate(left, total - len(left) + 1):
        print(f"\n{unit} ({number} of {total})")
        yield unit, run_unit(plan, unit, workdir, sets)


def _say_ended(unit: Unit, results: Results, plan: Plan, workdir: pathlib.Path, jobs: int) -> None:
    """A line for each run of a unit that has ended, with the time that the others will take."""
    total = len(plan.seeds) * len(plan.variants)
    seconds = seconds_left(plan, find_left(plan, results, workdir), results, jobs)
    rest = f", about {format_duration(seconds)} left" if seconds else ""
    for key in unit.keys:
        print(f"{describe_run(results[key])} ({len(results)} of {total}{rest})", flush=True)


def _write_report(study: Study, workdir: pathlib.Path) -> None:
    write_patiently(lambda: write_report(study, workdir), workdir / "report.html", print)


def claim_unit(plan: Plan, unit: Unit, workdir: pathlib.Path, sets: Sets) -> None:
    """Check that the folders of runs that have begun belong to this study.

    Raises:
        ConfigError: one has another config, other pieces or other data.
    """
    for variant in unit.variants:
        folder = folder_of(workdir, variant.name, unit.seed)
        if (folder / "config.json").exists():
            claim(folder, plan.config_of(variant, unit.seed), variant.build, sets)


def claim(folder: pathlib.Path, config: Config, build: Build, sets: Sets) -> None:
    """Check that a run's folder has this config, these pieces and this data.

    Raises:
        ConfigError: it has others.
    """
    run_folder.claim(folder, config)
    claim_pieces(folder, own_pieces(build_detector(config.model, build, folder)), print)
    check_data(config, folder, describe_data(config, *sets), config.train.steps)


def run_unit(plan: Plan, unit: Unit, workdir: pathlib.Path, sets: Sets) -> Outcome:
    """Run variants with one seed until they finish or diverge."""
    began = time.monotonic()
    folders = {x.name: folder_of(workdir, x.name, unit.seed) for x in unit.variants}
    configs = {x.name: plan.config_of(x, unit.seed) for x in unit.variants}
    for folder in folders.values():
        copy_split(workdir, folder)  # all runs are judged on the same images, also by `evaluate`
    if plan.together:
        found = run_side_by_side(
            {folders[name]: config for name, config in configs.items()},
            workdir / "together" / str(unit.seed),
            *sets,
            unit.variants[0].build,
        )
        failures = {name: found[folder] for name, folder in folders.items() if folder in found}
    else:
        ends = {
            x.name: run_alone(configs[x.name], folders[x.name], sets, x.build)
            for x in unit.variants
        }
        failures = {name: failure for name, failure in ends.items() if failure}
    return Outcome(failures, time.monotonic() - began)


def run_alone(config: Config, folder: pathlib.Path, sets: Sets, build: Build) -> Failure | None:
    """Run one variant to its end; return how it diverged, or None."""
    run_folder.claim(folder, config)  # a run by itself could be resumed with more steps
    try:
        run(config, folder, build_detector(config.model, build, folder), *sets)
    except NonFiniteLossError as error:
        print(error)
        return Failure(error.step, str(error))
    return None


def read_results(plan: Plan, unit: Unit, outcome: Outcome, workdir: pathlib.Path) -> Results:
    """The results of a unit's runs, read from their folders."""
    fields = varied_fields(plan.variants)
    return {
        (name, seed): read_run(
            folder_of(workdir, name, seed),
            name,
            seed,
            "diverged" if name in outcome.failures else "finished",
            failure=outcome.failures.get(name),
            wall_seconds=outcome.seconds,
            fields=fields,
        )
        for name, seed in unit.keys
    }

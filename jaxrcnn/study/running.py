"""The runs of a study, in one process, so that what can be compiled once is shared.

Each has an ordinary run's folder: it goes on from its last checkpoint, and can be evaluated and
used. What became of it stands in study.json.
"""

import datetime
import os
import pathlib
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from typing import NamedTuple

import jax

from jaxrcnn.config import Config
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.split_file import copy_split
from jaxrcnn.detector import build
from jaxrcnn.opening import read_bytes
from jaxrcnn.runs import run
from jaxrcnn.runtime.machine import processor_name
from jaxrcnn.study.report import write_report
from jaxrcnn.study.resampled_runs import compare_runs
from jaxrcnn.study.results import Failure, RunResult, Study, read_run
from jaxrcnn.study.side_by_side import run_side_by_side
from jaxrcnn.study.study_io import from_json, to_json
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.lock import locked
from jaxrcnn.training.pieces import Build, build_detector, claim_pieces, own_pieces
from jaxrcnn.training.retries import write_patiently
from jaxrcnn.writing import replace_text

Sets = tuple[Dataset, Dataset]
"""The training and the evaluation set."""


class Plan(NamedTuple):
    """What a study compares."""

    configs: Mapping[str, Config]  # of each scheme; they differ in nothing else
    seeds: tuple[int, ...]  # each scheme runs with each
    together: bool  # run all schemes of a seed side by side; see jaxrcnn.study.side_by_side
    title: str
    command: str  # that runs it
    build: Build = build  # makes the detector of every run


def run_study(plan: Plan, workdir: pathlib.Path) -> Study:
    """Run what is not done yet; write study.json after each, and the report in the end.

    Seed after seed, so that a study that is stopped has compared something.

    Raises:
        ConfigError: a folder holds a run of another config or is in use, or study.json cannot be
            read.
        DataError: the data cannot be read.
        Interrupted: SIGTERM, SIGINT or SIGHUP came, and the state of the run is saved.
    """
    with locked(workdir, print):
        return _run_study(plan, workdir)


def _run_study(plan: Plan, workdir: pathlib.Path) -> Study:
    """`run_study` in a folder that is its own."""
    sets = open_datasets(next(iter(plan.configs.values())), workdir)
    results = known_results(workdir)
    number = 0
    total = len(plan.seeds) * len(plan.configs)
    for seed in plan.seeds:
        configs = {name: replace(config, seed=seed) for name, config in plan.configs.items()}
        groups = [configs] if plan.together else [{name: configs[name]} for name in configs]
        for group in groups:
            number += len(group)
            print(f"\n{', '.join(group)}, seed {seed} ({number} of {total})")
            if all((name, seed) in results for name in group):
                for name, config in group.items():  # no run sees that it is of this config
                    claim(folder_of(workdir, name, seed), config, plan.build)
                continue
            results |= run_group(plan, group, seed, workdir, sets)
            _write_results(gather(plan, results, sets), workdir)
    study = compare_runs(gather(plan, results, sets), workdir, sets[1], print)
    write_patiently(lambda: write_report(study, workdir), workdir / "report.html", print)
    return study


def _write_results(study: Study, workdir: pathlib.Path) -> None:
    """Write study.json, without which runs that have ended would be taken for new ones."""
    path, text = workdir / "study.json", to_json(study)
    write_patiently(lambda: replace_text(path, text), path, print)


Results = dict[tuple[str, int], RunResult]
"""By scheme and seed."""


def known_results(workdir: pathlib.Path) -> Results:
    """What study.json tells of runs that have ended, if there is one."""
    path = workdir / "study.json"
    if not path.exists():
        return {}
    runs = from_json(read_bytes(path).decode()).runs
    return {(run.scheme, run.seed): run for run in runs if run.status != "waiting"}


def folder_of(workdir: pathlib.Path, scheme: str, seed: int) -> pathlib.Path:
    """The folder of a run."""
    return workdir / "runs" / f"{scheme}-{seed}"


def claim(folder: pathlib.Path, config: Config, build: Build) -> None:
    """See that the folder of a run that has ended is of this config and these pieces.

    Raises:
        ConfigError: it is of others.
    """
    run_folder.claim(folder, config)
    claim_pieces(folder, own_pieces(build_detector(config.model, build, folder)), print)


def run_group(
    plan: Plan, configs: Mapping[str, Config], seed: int, workdir: pathlib.Path, sets: Sets
) -> Results:
    """Run schemes with one seed to their ends, whatever those are."""
    began = time.monotonic()
    folders = {name: folder_of(workdir, name, seed) for name in configs}
    for folder in folders.values():
        copy_split(workdir, folder)  # all runs are judged on the same images, also by `evaluate`
    if plan.together:
        failures = run_side_by_side(
            {folders[name]: config for name, config in configs.items()},
            workdir / "together" / str(seed),
            *sets,
            plan.build,
        )
    else:
        ends = {
            folder: run_alone(configs[name], folder, sets, plan.build)
            for name, folder in folders.items()
        }
        failures = {folder: failure for folder, failure in ends.items() if failure}
    seconds = time.monotonic() - began
    return {
        (name, seed): read_run(
            folder,
            name,
            seed,
            "diverged" if folder in failures else "finished",
            failure=failures.get(folder),
            wall_seconds=seconds,
        )
        for name, folder in folders.items()
    }


def run_alone(config: Config, folder: pathlib.Path, sets: Sets, build: Build) -> Failure | None:
    """Run one scheme to its end; how it diverged, or None."""
    run_folder.claim(folder, config)  # a run by itself could be resumed with more steps
    try:
        run(config, folder, build_detector(config.model, build, folder), *sets)
    except NonFiniteLossError as error:
        print(error)
        return Failure(error.step, str(error))
    return None


def gather(plan: Plan, results: Results, sets: Sets) -> Study:
    """The study so far."""
    config = next(iter(plan.configs.values()))
    return Study(
        title=plan.title,
        command=plan.command,
        date=datetime.date.today().isoformat(),
        machine=describe_machine(),
        schemes=tuple(plan.configs),
        seeds=plan.seeds,
        steps=config.train.steps,
        batch_size=config.train.batch_size,
        train_set=sets[0].summary(),
        eval_set=sets[1].summary(),
        runs=tuple(
            results.get((name, seed), RunResult(name, seed, f"runs/{name}-{seed}", "waiting"))
            for name in plan.configs
            for seed in plan.seeds
        ),
    )


def describe_machine() -> dict[str, str]:
    """What a figure's reader asks about the machine and its software."""
    devices = jax.local_devices()
    packages = ("jax", "flax", "optax")
    return {
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processors": f"{os.cpu_count()} x {processor_name()}",
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }

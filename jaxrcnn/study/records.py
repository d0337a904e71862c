"""study.json in a study's folder: how its runs ended."""

import datetime
import os
import pathlib
import platform
from collections.abc import Mapping
from importlib import metadata

import jax

from jaxrcnn.config import ConfigError
from jaxrcnn.runtime.machine import processor_name
from jaxrcnn.study.plan import Key, Plan, Sets, folder_of
from jaxrcnn.study.results import RunResult, Study
from jaxrcnn.study.study_io import FILE, read_study, to_json
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.retries import write_patiently
from jaxrcnn.wording import counted
from jaxrcnn.writing import replace_text

AT_A_TIME = "runs at a time"
"""In the description of the machine, where they are several."""

SHOWN = ("AP", "AP50", "AP75", "mAP")
"""Scores on the line of a run."""

Results = dict[Key, RunResult]
"""Of the runs that have ended."""


def known_results(workdir: pathlib.Path) -> Results:
    """The results of runs that have ended, from study.json if there is one.

    Raises:
        ConfigError: it cannot be read.
    """
    study = read_study(workdir)
    runs = study.runs if study else ()
    return {(run.scheme, run.seed): run for run in runs if run.status != "waiting"}


def runs_at_a_time(workdir: pathlib.Path) -> int:
    """How many runs the study in a folder did at a time, as its study.json says."""
    study = read_study(workdir)
    return int(study.machine.get(AT_A_TIME, "1")) if study else 1


def check_results(results: Mapping[Key, object], plan: Plan, workdir: pathlib.Path) -> None:
    """Check that all runs that have ended belong to the plan.

    Raises:
        ConfigError: some do not, and would be missing from the results.
    """
    names = {variant.name for variant in plan.variants}
    others = [(name, seed) for name, seed in results if name not in names or seed not in plan.seeds]
    if others:
        (name, seed), *more = others
        rest = f" and {counted(len(more), 'more run')}" if more else ""
        raise ConfigError(
            f"{workdir} contains another study, with {name!r}, seed {seed}{rest}: to extend it, "
            "repeat all of its variants and seeds; otherwise choose another --workdir"
        )


def gather(plan: Plan, results: Mapping[Key, RunResult], sets: Sets, jobs: int = 1) -> Study:
    """The study so far."""
    config, (train_set, eval_set) = plan.config, sets
    keys = [(variant.name, seed) for variant in plan.variants for seed in plan.seeds]
    return Study(
        title=plan.title,
        command=plan.command,
        date=datetime.date.today().isoformat(),
        machine=describe_machine(jobs),
        schemes=tuple(variant.name for variant in plan.variants),
        seeds=plan.seeds,
        steps=config.train.steps,
        batch_size=config.train.batch_size,
        train_set=train_set.summary(),
        eval_set=eval_set.summary() + ("; the test split" if plan.split == "test" else ""),
        runs=tuple(results.get(key) or _waiting(*key) for key in keys),
        baseline=plan.baseline,
    )


def _waiting(variant: str, seed: int) -> RunResult:
    folder = folder_of(pathlib.Path(), variant, seed)
    return RunResult(variant, seed, folder.as_posix(), "waiting")


def describe_run(run: RunResult) -> str:
    """How a run ended, on one line."""
    if run.failure is not None:
        end = f"diverged at step {run.failure.step}"
    else:
        scores = run.points[-1].scores if run.points else {}
        end = "  ".join(f"{name} {scores[name]:.3f}" for name in SHOWN if name in scores)
    seconds = f", {format_duration(run.wall_seconds)}" if run.wall_seconds else ""
    return f"{run.scheme}, seed {run.seed}: {end}{seconds}"


def write_results(study: Study, workdir: pathlib.Path) -> None:
    """Write study.json, without which runs that have ended would be taken for new ones."""
    path, text = workdir / FILE, to_json(study)
    write_patiently(lambda: replace_text(path, text), path, print)


def describe_machine(jobs: int = 1) -> dict[str, str]:
    """The machine and its software, for readers of the results.

    Args:
        jobs: runs at a time.
    """
    devices = jax.local_devices()
    packages = ("jax", "flax", "optax")
    return {
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processors": f"{os.cpu_count()} x {processor_name()}",
        **({AT_A_TIME: str(jobs)} if jobs > 1 else {}),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }

"""python -m jaxrcnn study --config CONFIG --schemes NAME,NAME --seeds N --workdir DIR"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

import jax

from jaxrcnn.cli.options import parse_train_arguments
from jaxrcnn.cli.run import note
from jaxrcnn.cli.study_dry_run import dry_run
from jaxrcnn.cli.study_variants import find_variants
from jaxrcnn.config import Config
from jaxrcnn.data.datasets import open_train_dataset
from jaxrcnn.data.planning import images_per_epoch
from jaxrcnn.study.comparison_tables import main_tables
from jaxrcnn.study.jobs import check_jobs
from jaxrcnn.study.plan import Plan, check_start, find_baseline
from jaxrcnn.study.running import run_study
from jaxrcnn.study.starts import find_start
from jaxrcnn.training.epochs import describe_epochs, with_epochs


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Run the study, print the main table, write the report; say where.

    Raises:
        ConfigError: a variant's config is invalid, or the folder holds another study.
        DataError: the data cannot be read.
    """
    given = parse_train_arguments(["--config", arguments.config, *fields])
    base, title = in_steps(given.config), given.config_name
    if base.train.keep_best:
        note("a study compares final states: train.keep_best and train.patience are ignored")
    workdir = arguments.workdir or pathlib.Path("runs") / f"study_{title}"
    variants = find_variants(paced(base, arguments.evaluations), arguments)
    plan = Plan(
        variants=variants,
        seeds=tuple(range(base.seed, base.seed + arguments.seeds)),
        title=title,
        command=shlex.join(["python", "-m", "jaxrcnn", *sys.argv[1:]]),
        together=arguments.sweep is not None,
        baseline=find_baseline(variants, arguments.baseline),
        start=find_start(arguments.start) if arguments.start else None,
        split=arguments.split,
    )
    check_start(plan)
    if arguments.jobs > 1:
        check_jobs(arguments.jobs, jax.default_backend(), variants)
    if arguments.dry_run:
        return dry_run(plan, workdir)
    study = run_study(plan, workdir, arguments.jobs)
    print(f"\n{main_tables(study)}\n")
    print(f"report    {workdir / 'report.html'}")
    print(f"numbers   {workdir / 'study.json'}")
    print(f"runs      {workdir / 'runs'}")
    return 0


def in_steps(config: Config) -> Config:
    """The config with steps in place of train.epochs, since a scheme may share them out."""
    if not config.train.epochs:
        return config
    num_images = round(images_per_epoch(open_train_dataset(config), config))
    config = with_epochs(config, num_images)
    print(*describe_epochs(config, num_images), sep="\n")
    return replace(config, train=replace(config.train, epochs=0.0))


def paced(config: Config, evaluations: int) -> Config:
    """The config with this number of evaluations, evenly spaced, and as many checkpoints.

    Gradients are measured as often, unless the config sets how often. All runs have the same
    number of steps and their last states are compared, so no best state is kept and no run ends
    early.
    """
    every = max(config.train.steps // evaluations, 1)
    diagnostics = config.train.diagnostics
    diagnostics = replace(diagnostics, every=diagnostics.every or every)
    return replace(
        config,
        train=replace(
            config.train,
            eval_every=every,
            checkpoint_every=every,
            diagnostics=diagnostics,
            keep_best="",
            patience=0,
        ),
    )

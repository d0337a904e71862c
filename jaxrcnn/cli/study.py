"""python -m jaxrcnn study --config CONFIG --schemes NAME,NAME --seeds N --workdir DIR"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from jaxrcnn import validation
from jaxrcnn.cli import parsing
from jaxrcnn.cli.options import parse_train_arguments
from jaxrcnn.config import Config, DiagnosticsConfig
from jaxrcnn.study.running import Plan, run_study
from jaxrcnn.study.schemes import SCHEMES
from jaxrcnn.study.tables import as_text, glance_table

TAKES_FIELDS = True
"""Other arguments are --config.FIELD VALUE, as train.py takes them."""

KNOBS = ("pooling_gradient", "target_gradient")
"""Fields that --sweep takes."""


class Sweep(NamedTuple):
    """One gate, as wide as each of these."""

    field: str
    values: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--config FILE [--schemes NAMES | --sweep FIELD=VALUES] [--seeds N] [--workdir DIR]."""
    parser.epilog = "--config.FIELD VALUE sets a field of the config, as for train.py."
    parser.add_argument(
        "--config", metavar="FILE", type=pathlib.Path, required=True, help="the experiment"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--schemes",
        metavar="NAME,...",
        type=parsing.some_of(SCHEMES),
        default=tuple(SCHEMES),
        help=f"what to compare (default: {','.join(SCHEMES)})",
    )
    what.add_argument(
        "--sweep",
        metavar="FIELD=VALUE,...",
        type=sweep,
        help=f"compare widths of one gate instead, side by side in one compiled run; "
        f"FIELD is {' or '.join(KNOBS)} of model.proposals",
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=parsing.count,
        default=3,
        help="runs of each, with the config's seed and those after it (default: %(default)s)",
    )
    parser.add_argument(
        "--evaluations",
        metavar="N",
        type=parsing.count,
        default=8,
        help="of each run, evenly over its steps (default: %(default)s)",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=pathlib.Path,
        help="folder of the study; goes on where it was stopped (default: runs/study_CONFIG)",
    )


def sweep(text: str) -> Sweep:
    """The type of an argument that is a field and values for it."""
    field, _, values = text.partition("=")
    if field not in KNOBS or not values:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, takes {' or '.join(KNOBS)}, =, and widths such as 0,0.01,0.1,1"
        )
    return Sweep(field, tuple(dict.fromkeys(map(parsing.share, values.split(",")))))


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Run the study, print the main table, write the report; say where.

    Raises:
        ConfigError: a scheme makes no sound config, or the folder holds another study.
        DataError: the data cannot be read.
    """
    path = arguments.config
    base = parse_train_arguments(["--config", str(path), *fields]).config
    workdir = arguments.workdir or pathlib.Path("runs") / f"study_{path.stem}"
    configs = configs_of(paced(base, arguments.evaluations), arguments)
    for config in configs.values():
        validation.check(config)
    study = run_study(
        Plan(
            configs=configs,
            seeds=tuple(range(base.seed, base.seed + arguments.seeds)),
            together=arguments.sweep is not None,
            title=path.stem,
            command=shlex.join(["python", "-m", "jaxrcnn", *sys.argv[1:]]),
        ),
        workdir,
    )
    print(f"\n{as_text(glance_table(study))}\n")
    print(f"report    {workdir / 'report.html'}")
    print(f"numbers   {workdir / 'study.json'}")
    print(f"runs      {workdir / 'runs'}")
    return 0


def paced(config: Config, evaluations: int) -> Config:
    """The config with so many evaluations, evenly over its steps, and as many checkpoints.

    Gradients are measured as often, unless the config says how often.
    """
    every = max(config.train.steps // evaluations, 1)
    diagnostics = config.train.diagnostics
    diagnostics = replace(diagnostics, every=diagnostics.every or every)
    return replace(
        config,
        train=replace(
            config.train, eval_every=every, checkpoint_every=every, diagnostics=diagnostics
        ),
    )


def configs_of(base: Config, arguments: argparse.Namespace) -> dict[str, Config]:
    """What is compared, by name."""
    if arguments.sweep is None:
        return {name: SCHEMES[name](base) for name in arguments.schemes}
    field, values = arguments.sweep
    return {f"{field}={value:g}": _with_gate(base, field, value) for value in values}


def _with_gate(config: Config, field: str, width: float) -> Config:
    """Joint training with a gate of this width; the other is as the config has it.

    Without diagnostics, which would take each gradient of every width at once.
    """
    proposals = replace(config.model.proposals, stop_gradient=False, **{field: width})
    return replace(
        config,
        model=replace(config.model, proposals=proposals),
        train=replace(config.train, scheme="joint", diagnostics=DiagnosticsConfig()),
    )

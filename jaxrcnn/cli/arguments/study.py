"""python -m jaxrcnn study --config CONFIG --schemes NAME,NAME --seeds N --workdir DIR"""

import argparse
import pathlib
from typing import NamedTuple

from jaxrcnn.cli.arguments import CONFIG, FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.parsing import count, share, some_of
from jaxrcnn.study.schemes import SCHEMES

TAKES_FIELDS = True

GATES = ("pooling_gradient", "target_gradient")
"""Fields of model.proposals that --sweep takes."""


class Sweep(NamedTuple):
    """A gate, and the widths to compare."""

    field: str
    values: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--config CONFIG [--schemes NAMES | --sweep FIELD=VALUES] [--seeds N] [--workdir DIR]
    [--pieces NAME].
    """
    parser.epilog = FIELDS
    parser.add_argument(
        "--config",
        metavar="CONFIG",
        required=True,
        help=CONFIG,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--schemes",
        metavar="NAME,...",
        type=some_of(SCHEMES),
        default=tuple(SCHEMES),
        help=f"schemes to compare (default: {','.join(SCHEMES)})",
    )
    what.add_argument(
        "--sweep",
        metavar="FIELD=VALUE,...",
        type=sweep,
        help="compare several widths of one gradient gate instead, trained side by side in one "
        f"program; FIELD is {' or '.join(GATES)} of model.proposals",
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=count,
        default=3,
        help="runs of each scheme, with the config's seed and the next ones (default: %(default)s)",
    )
    parser.add_argument(
        "--evaluations",
        metavar="N",
        type=count,
        default=8,
        help="evaluations of each run, evenly spaced over its steps (default: %(default)s)",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=pathlib.Path,
        help="folder of the study, where an interrupted one continues (default: runs/study_CONFIG)",
    )
    add_pieces_argument(parser)


def sweep(text: str) -> Sweep:
    """The type of an argument that is a field and values for it."""
    field, _, values = text.partition("=")
    if field not in GATES or not values:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected {' or '.join(GATES)}, =, and widths such as 0,0.01,0.1,1"
        )
    return Sweep(field, tuple(dict.fromkeys(map(share, values.split(",")))))

"""python -m jaxrcnn study --config CONFIG --schemes NAME,NAME --seeds N --workdir DIR"""

import argparse
import pathlib
from typing import NamedTuple

from jaxrcnn.cli.arguments import CONFIG, FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.parsing import count, share, some_of
from jaxrcnn.study.schemes import SCHEMES

TAKES_FIELDS = True

EPILOG = f"""\
Without --schemes, --variant and --vary, all schemes are compared. --variant adds the config with \
some fields changed, and --vary combines all schemes and variants with several values of a field: \
`--schemes approximate,exact --vary learning_rate=0.001,0.002` compares four. --vary alone changes \
the config itself. FIELD is the name of a field of the config, or its last part if that is \
unambiguous. Fields that determine the data, the number of steps or the scores cannot vary; set \
them for all runs with --config.FIELD.

{FIELDS}"""

GATES = ("pooling_gradient", "target_gradient")
"""Fields of model.proposals that --sweep takes."""


class Sweep(NamedTuple):
    """A gate, and the widths to compare."""

    field: str
    values: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--config CONFIG [--schemes NAMES | --sweep FIELD=VALUES] [--variant NAME FIELD=VALUE ...]
    [--vary FIELD=VALUES] [--start DIR] [--baseline NAME] [--split NAME] [--seeds N]
    [--evaluations N] [--jobs N] [--dry-run] [--workdir DIR] [--pieces NAME].
    """
    parser.epilog = EPILOG
    parser.add_argument(
        "--config",
        metavar="CONFIG",
        required=True,
        help=CONFIG,
    )
    _add_variants(parser)
    _add_runs(parser)
    add_pieces_argument(parser)


def _add_variants(parser: argparse.ArgumentParser) -> None:
    """What is compared, and with what."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--schemes",
        metavar="NAME,...",
        type=some_of(SCHEMES),
        help=f"schemes to compare (default: {','.join(SCHEMES)})",
    )
    what.add_argument(
        "--sweep",
        metavar="FIELD=VALUE,...",
        type=sweep,
        help="compare several factors of one route's gradient instead, trained side by side in one "
        f"program; FIELD is {' or '.join(GATES)} of model.proposals",
    )
    parser.add_argument(
        "--variant",
        metavar=("NAME", "FIELD=VALUE"),
        nargs="+",
        action="append",
        default=[],
        help="also compare the config with these fields changed, under this name; can be repeated",
    )
    parser.add_argument(
        "--vary",
        metavar="FIELD=VALUE,...",
        action="append",
        default=[],
        help="compare everything with each of these values of a field; can be repeated, which "
        "compares all combinations. pieces=MODULE:FUNCTION,... varies the function that builds the "
        "detector (none: the default one)",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        help="variant that the others are compared with (default: approximate if it is compared, "
        "otherwise the first one)",
    )
    parser.add_argument(
        "--start",
        metavar="DIR[:NAME]",
        help="start each run from the final weights of the run with the same seed in another "
        "study's folder: from the variant NAME, or from the first one",
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    """How the runs are done and scored, and where."""
    parser.add_argument(
        "--split",
        choices=("eval", "test"),
        default="eval",
        help="images that the runs are scored on: the evaluation split or data.test_split "
        "(default: %(default)s)",
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
        "--jobs",
        metavar="N",
        type=count,
        default=1,
        help="number of runs to train in parallel, each in a process with its share of the CPU "
        "cores; their output goes to jobs/ in the workdir (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="list the runs and estimate how long the remaining ones will take; train nothing",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=pathlib.Path,
        help="folder of the study, where an interrupted one continues (default: runs/study_CONFIG)",
    )


def sweep(text: str) -> Sweep:
    """The type of an argument that is a field and values for it."""
    field, _, values = text.partition("=")
    if field not in GATES or not values:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected {' or '.join(GATES)}, =, and widths such as 0,0.01,0.1,1"
        )
    return Sweep(field, tuple(dict.fromkeys(map(share, values.split(",")))))

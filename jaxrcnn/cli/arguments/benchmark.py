"""python -m jaxrcnn benchmark [--config CONFIG] [--what train,predict,...]"""

import argparse
import pathlib
import sys

from jaxrcnn.benchmark.shapes import shape
from jaxrcnn.cli.arguments import CONFIG, FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.parsing import count, some_of

TAKES_FIELDS = True

SUITES = ("check", "train", "predict", "stages", "gate", "ops", "input", "eval", "start")
"""What can be measured, in that order."""

COMPARED = ("train", "predict", "stages")
"""Those that compare two detectors; the others measure the first alone."""

ASKED_FOR = ("eval", "start")
"""Those that are measured only where they are named: the device has no part in them, or little."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[--config CONFIG] [--what NAMES] [--train SHAPE] [--predict SHAPE ...] [--pieces NAME]
    [--against NAME].
    """
    parser.epilog = (
        "A SHAPE is images x height x width, such as 2x320x320. The defaults suit the device: on "
        "an accelerator, training of 16x800x1344 in bfloat16, compared with torchvision if it is "
        f"installed. {FIELDS}\n\n"
        "To see whether a detector of your own is faster, and in which stages: --against "
        "my_fork:build. It is compared with the one that the config describes, or with that of "
        "--pieces."
    )
    parser.add_argument(
        "--config",
        metavar="CONFIG",
        help=f"{CONFIG} (default: torchvision's ResNet-50 FPN)",
    )
    parser.add_argument(
        "--what",
        metavar="NAMES",
        type=some_of(SUITES),
        help=f"some of {','.join(SUITES)} (default: all but {' and '.join(ASKED_FOR)}, and on a "
        f"CPU without check; {','.join(COMPARED)} to compare two detectors)",
    )
    _add_amounts(parser)
    _add_outputs(parser)
    add_pieces_argument(parser)
    _add_comparison(parser)


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    """Shapes and steps."""
    parser.add_argument("--train", metavar="SHAPE", type=shape, help="shape of training batches")
    parser.add_argument(
        "--predict", metavar="SHAPE", type=shape, nargs="+", help="shapes of prediction batches"
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count,
        default=20,
        help="timed steps of each program (default: %(default)s)",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """The files of figures and plots."""
    parser.add_argument(
        "--json", metavar="FILE", type=pathlib.Path, help="write all figures to this file"
    )
    parser.add_argument(
        "--plot",
        metavar="JSON",
        type=pathlib.Path,
        help="measure nothing, draw the figures of an earlier --json file",
    )
    parser.add_argument(
        "--plots",
        metavar="DIR",
        type=pathlib.Path,
        help="folder for the plots (default with --plot: that of the JSON file)",
    )


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    """What to compare with."""
    parser.add_argument(
        "--against",
        metavar="NAME",
        type=against,
        help="what to compare it with, in alternation: torchvision, none, or a second detector as "
        "for --pieces (default: torchvision on an accelerator if it is installed)",
    )
    parser.add_argument(
        "--peer-python",
        metavar="PYTHON",
        default=sys.executable,
        help="Python interpreter that has torchvision (default: this one)",
    )


def against(text: str) -> str:
    """The type of an argument that names a library or a detector to compare with."""
    if text not in ("torchvision", "none") and ":" not in text:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected torchvision, none or MODULE:FUNCTION, such as my_fork:build"
        )
    return text

"""python -m jaxrcnn replay WORKDIR/failure"""

import argparse
import pathlib

from jaxrcnn.cli.arguments.pieces import add_pieces_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FOLDER [--pieces NAME]."""
    parser.epilog = (
        "The step is run twice: first as in the run, to check that the results are the same, and "
        "then operation by operation, to find the first operation whose result is not finite. "
        "Neither the run nor its data are needed, and nothing is changed."
    )
    parser.add_argument(
        "folder",
        metavar="WORKDIR/failure",
        type=pathlib.Path,
        help="folder that a run writes when it stops because a loss or a gradient is not finite",
    )
    add_pieces_argument(parser)

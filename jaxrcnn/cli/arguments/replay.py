"""python -m jaxrcnn replay WORKDIR/failure"""

import argparse
import pathlib

from jaxrcnn.cli.arguments.pieces import add_pieces_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FOLDER [--pieces NAME]."""
    parser.epilog = (
        "The step is run twice: as the run did, to see that it gives the same numbers, and then "
        "operation by operation, to find the first whose result is not finite. Neither the run nor "
        "its data are needed, and nothing is changed."
    )
    parser.add_argument(
        "folder",
        metavar="WORKDIR/failure",
        type=pathlib.Path,
        help="the folder that a run writes when it stops because of a loss or a gradient that is "
        "not finite",
    )
    add_pieces_argument(parser)

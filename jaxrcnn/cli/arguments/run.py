"""Arguments that name a run."""

import argparse
import pathlib

from jaxrcnn.cli import parsing
from jaxrcnn.cli.arguments.pieces import add_pieces_argument


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--step N] [--batch-size N] [--pieces NAME], for `jaxrcnn.cli.run.load_run`."""
    parser.add_argument(
        "workdir",
        metavar="WORKDIR",
        type=pathlib.Path,
        help="folder of a run (the --workdir of `jaxrcnn train`)",
    )
    parser.add_argument(
        "--step",
        metavar="N",
        type=parsing.step,
        help="step of the checkpoint to load (default: the last)",
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=parsing.count,
        help="images per batch (default: the run's eval.batch_size)",
    )
    add_pieces_argument(parser)

"""python -m jaxrcnn evaluate WORKDIR"""

import argparse
import pathlib

from jaxrcnn.cli.parsing import count, step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--step N] [--batch-size N]."""
    parser.add_argument(
        "workdir", metavar="WORKDIR", type=pathlib.Path, help="folder of a run, as train.py left it"
    )
    parser.add_argument(
        "--step", metavar="N", type=step, help="step of the checkpoint (default: the last)"
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=count,
        help="pictures at a time (default: the run's eval.batch_size)",
    )

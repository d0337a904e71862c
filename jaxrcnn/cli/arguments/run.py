"""Arguments that name a run."""

import argparse
import pathlib

from jaxrcnn.cli import parsing


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--step N] [--batch-size N]: what `jaxrcnn.cli.run.load_run` takes."""
    parser.add_argument(
        "workdir",
        metavar="WORKDIR",
        type=pathlib.Path,
        help="folder of a run (the --workdir of train.py)",
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

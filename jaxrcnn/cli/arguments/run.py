"""Arguments that name a run."""

import argparse
import pathlib

from jaxrcnn.cli import parsing
from jaxrcnn.cli.arguments.pieces import add_pieces_argument


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--checkpoint NAME] [--batch-size N] [--pieces NAME], for `load_run`."""
    parser.add_argument(
        "workdir",
        metavar="WORKDIR",
        type=pathlib.Path,
        help="folder of a run (the --workdir of `jaxrcnn train`)",
    )
    add_checkpoint_argument(parser)
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=parsing.count,
        help="images per batch (default: the run's eval.batch_size)",
    )
    add_pieces_argument(parser)


def add_checkpoint_argument(parser: argparse.ArgumentParser) -> None:
    """[--checkpoint best|last|STEP]; its earlier name is --step."""
    kind = parsing.checkpoint
    parser.add_argument(
        "--checkpoint",
        metavar="best|last|STEP",
        type=kind,
        help="checkpoint of the run to load (default: the best if it was trained with "
        "train.keep_best, else the last)",
    )
    parser.add_argument("--step", dest="checkpoint", type=kind, action=parsing.Renamed)

"""python -m jaxrcnn proposals WORKDIR"""

import argparse
import pathlib

from jaxrcnn.cli.arguments.run import add_run_arguments

SPLITS = ("eval", "train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--checkpoint NAME] [--batch-size N] [--pieces NAME] [--split SPLIT]
    [--dump FILE].
    """
    parser.epilog = "The metrics are written to WORKDIR/eval/step_N."
    add_run_arguments(parser)
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default="eval",
        help="the run's data.eval_split, or its data.train_splits without augmentation "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--dump",
        metavar="FILE.npz",
        type=npz,
        help="also save the proposals, for data.train_proposals or data.eval_proposals of a Fast "
        "R-CNN run",
    )


def npz(text: str) -> pathlib.Path:
    """The type of an argument that is the path of an .npz file."""
    path = pathlib.Path(text)
    if path.suffix != ".npz":
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a path that ends in .npz")
    return path

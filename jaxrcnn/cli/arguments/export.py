"""python -m jaxrcnn export MODEL --out DIR [--config.FIELD VALUE ...]"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import PREDICTION_FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.arguments.run import add_checkpoint_argument

TAKES_FIELDS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL --out DIR [--checkpoint NAME] [--dtype TYPE] [--weights inside|beside]
    [--pieces NAME].
    """
    parser.epilog = f"A README.md beside the program shows how to run it.\n\n{PREDICTION_FIELDS}"
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=pathlib.Path,
        help="folder of a run or of a converted model",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        required=True,
        help="folder to write; must not exist, or be empty",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="type of the networks' activations (default: the model's model.compute_dtype)",
    )
    parser.add_argument(
        "--weights",
        choices=("inside", "beside"),
        default="inside",
        help="store the weights inside the program, or in a file beside it (default: %(default)s)",
    )
    add_checkpoint_argument(parser)
    add_pieces_argument(parser)

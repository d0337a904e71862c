"""python -m jaxrcnn predict MODEL IMAGES ... --out DIR [--config.FIELD VALUE ...]"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import PREDICTION_FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.arguments.run import add_checkpoint_argument
from jaxrcnn.cli.arguments.test_time import add_test_time_arguments
from jaxrcnn.cli.parsing import count, share_or_best

TAKES_FIELDS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL IMAGES ... --out DIR [--checkpoint NAME] [--score SCORE] [--batch N] [--font FILE]
    [--pieces NAME] [--flip] [--scales N,N] [--tile N] [--overlap SHARE].
    """
    parser.epilog = PREDICTION_FIELDS
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=pathlib.Path,
        help="folder of a run or of a converted model",
    )
    parser.add_argument(
        "images",
        metavar="IMAGES",
        type=pathlib.Path,
        nargs="+",
        help="image files, folders (searched recursively) or quoted glob patterns",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        required=True,
        help="folder for the images with their boxes, and for detections.json",
    )
    parser.add_argument(
        "--score",
        type=share_or_best,
        default=0.5,
        help="lowest score of the detections to keep (default: %(default)s), or 'best': for each "
        "class, the threshold with the largest F1 in the model's last evaluation; the model itself "
        "drops detections below its model.detections.score_threshold",
    )
    parser.add_argument(
        "--batch",
        metavar="N",
        type=count,
        default=8,
        help="images per batch (default: %(default)s)",
    )
    parser.add_argument(
        "--font",
        metavar="FILE",
        type=pathlib.Path,
        help="font file for class names that DejaVu Sans cannot write, such as Chinese ones "
        "(default: $JAXRCNN_FONT, if set)",
    )
    add_checkpoint_argument(parser)
    add_pieces_argument(parser)
    add_test_time_arguments(parser)

"""python -m jaxrcnn visualize [DIR] [--config CONFIG] --out DIR"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import CONFIG, FIELDS
from jaxrcnn.cli.arguments.pieces import add_pieces_argument
from jaxrcnn.cli.parsing import checkpoint, count

TAKES_FIELDS = True

EPILOG = f"""\
For each image of a training step, a PNG file shows the padded and augmented image with its ground
truth, the anchors that are trained as foreground, and the RoIs that the box head is trained on; for
a run, also its detections. index.png shows all images.

examples:
  jaxrcnn visualize --config shapes --out fed
  jaxrcnn visualize my_photos --from none --out fed
  jaxrcnn visualize runs/my_photos --step 500 --out fed
  jaxrcnn visualize runs/my_photos --pushes --out pushes

{FIELDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[DIR] [--config CONFIG] --out DIR [--step N] [--steps N] [--images N] [--from SOURCE]
    [--checkpoint NAME] [--pushes] [--pieces NAME].
    """
    parser.epilog = EPILOG
    parser.add_argument(
        "source",
        metavar="DIR",
        type=pathlib.Path,
        nargs="?",
        help="folder of a run, or of labelled images as for `jaxrcnn train DIR`",
    )
    parser.add_argument("--config", metavar="CONFIG", help=CONFIG)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        required=True,
        help="folder to write the PNG files to",
    )
    _add_amounts(parser)
    parser.add_argument(
        "--from",
        dest="init",
        metavar="SOURCE",
        help="initial weights, as for `jaxrcnn train`; 'none' for random weights",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="best|last|STEP",
        type=checkpoint,
        help="checkpoint of the run whose weights make the RoIs and detections (default: the best "
        "if it was trained with train.keep_best, else the last)",
    )
    parser.add_argument(
        "--pushes",
        action="store_true",
        help="draw instead where the second stage's gradient would move the proposals if the gate "
        "were open: arrows at two corners of each, one panel per route",
    )
    add_pieces_argument(parser)


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    """Which steps, and how many images."""
    parser.add_argument(
        "--step",
        metavar="N",
        type=count,
        default=1,
        help="first training step to draw, counted from 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count,
        default=1,
        help="number of steps (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        metavar="N",
        type=count,
        default=4,
        help="maximum number of images of each step (default: %(default)s)",
    )

"""python -m jaxrcnn parity WEIGHTS --model NAME"""

import argparse
import pathlib
import sys

from jaxrcnn.cli.arguments import FIELDS
from jaxrcnn.cli.parsing import Renamed

TAKES_FIELDS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WEIGHTS --model NAME [--images FILE...] [--peer-python PYTHON]."""
    parser.epilog = f"The exit code is 1 if a stage differs by more than its limit.\n\n{FIELDS}"
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        type=pathlib.Path,
        help="weight file of torchvision's model (.pth or .safetensors)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        required=True,
        help="torchvision's function that builds the model, such as fasterrcnn_resnet50_fpn",
    )
    parser.add_argument(
        "--images",
        metavar="FILE",
        type=pathlib.Path,
        nargs="+",
        help="images to compare on, in one batch (default: two synthetic images)",
    )
    parser.add_argument("--pictures", dest="images", type=pathlib.Path, nargs="+", action=Renamed)
    parser.add_argument(
        "--peer-python",
        metavar="PYTHON",
        default=sys.executable,
        help="Python interpreter that has torchvision (default: the current one)",
    )

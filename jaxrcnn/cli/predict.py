"""python -m jaxrcnn predict WORKDIR PICTURE... --out DIR"""

import argparse
import pathlib

from jaxrcnn.cli.parsing import share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR PICTURE... --out DIR [--score SCORE]."""
    parser.add_argument(
        "workdir", metavar="WORKDIR", type=pathlib.Path, help="folder of a run, as train.py left it"
    )
    parser.add_argument(
        "pictures", metavar="PICTURE", type=pathlib.Path, nargs="+", help="picture files"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=pathlib.Path, required=True, help="folder to write to"
    )
    parser.add_argument(
        "--score",
        type=share,
        default=0.5,
        help="lowest score of a detection that is kept (default: %(default)s)",
    )

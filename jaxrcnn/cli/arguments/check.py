"""python -m jaxrcnn check DIR"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import CONFIG, FIELDS

TAKES_FIELDS = True

EPILOG = f"""\
This reads every record, decodes every image and lists all faults. check.json, and check.html with
thumbnails and statistics, are written to the folder --out. The exit code is 0 if nothing is wrong,
1 if there are faults, and 2 if the data set cannot be read at all.

{FIELDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[DIR ...] [--config CONFIG] [--out DIR] [--measure]."""
    parser.epilog = EPILOG
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="*",
        help="folder of labelled images, as for `jaxrcnn train DIR`; several are joined",
    )
    parser.add_argument(
        "--config", metavar="CONFIG", help=f"{CONFIG}; without DIR, its data set is checked"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="folder of check.json and check.html (default: runs/check_NAME)",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="also compile and time a training step, which takes a minute or more",
    )

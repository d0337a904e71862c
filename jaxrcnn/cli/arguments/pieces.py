"""The argument that names a detector of one's own."""

import argparse

HELP = (
    "function that builds the detector from a ModelConfig, such as my_fork:build for build() in "
    "my_fork.py; imported from the working directory or from the installed packages"
)
DEFAULT = "jaxrcnn.detector:build"


def add_pieces_argument(parser: argparse.ArgumentParser) -> None:
    """[--pieces MODULE:FUNCTION]: what `jaxrcnn.cli.pieces.find_build` takes."""
    parser.add_argument("--pieces", metavar="MODULE:FUNCTION", help=f"{HELP} (default: {DEFAULT})")

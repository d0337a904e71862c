"""The argument that names a detector of one's own."""

import argparse

HELP = (
    "build the detector with this function of a ModelConfig, such as my_fork:build; MODULE is "
    "imported from the working directory, or else from what is installed (default: the detector "
    "that the config describes)"
)


def add_pieces_argument(parser: argparse.ArgumentParser) -> None:
    """[--pieces MODULE:FUNCTION]: what `jaxrcnn.cli.pieces.find_build` takes."""
    parser.add_argument("--pieces", metavar="MODULE:FUNCTION", help=HELP)

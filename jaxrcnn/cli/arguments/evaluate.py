"""python -m jaxrcnn evaluate WORKDIR"""

import argparse

from jaxrcnn.cli.arguments import FIELDS
from jaxrcnn.cli.arguments.run import add_run_arguments
from jaxrcnn.cli.hosts import add_hosts

TAKES_FIELDS = True

EPILOG = f"""\
The metrics, the detections and an image of some of them are written to WORKDIR/eval/step_N.

WORKDIR may also be the folder of a converted model. It has no data set of its own: set
--config.data.format, --config.data.root and --config.data.eval_split.

{FIELDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--checkpoint NAME] [--batch-size N] [--pieces NAME] [--distributed auto]."""
    parser.epilog = EPILOG
    add_run_arguments(parser)
    add_hosts(parser)

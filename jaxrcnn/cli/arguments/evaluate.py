"""python -m jaxrcnn evaluate WORKDIR, or DETECTIONS.json --data DIR"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import FIELDS
from jaxrcnn.cli.arguments.run import add_run_arguments
from jaxrcnn.cli.arguments.test_time import add_test_time_arguments
from jaxrcnn.cli.hosts import add_hosts

TAKES_FIELDS = True

EPILOG = f"""\
The metrics, the detections and an image of some of them are written to WORKDIR/eval/step_N.

In place of WORKDIR, a file DETECTIONS.json in COCO's results format, from any detector, is scored \
on the annotations of --data DIR. The data set's format and its validation split are found; \
--config.data.eval_split names another split. The results are written to DETECTIONS_eval beside \
the file.

WORKDIR may also be the folder of a converted model. It has no data set of its own: set
--config.data.format, --config.data.root and --config.data.eval_split.

{FIELDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--checkpoint NAME] [--batch-size N] [--pieces NAME] [--distributed auto]
    [--data DIR] [--out DIR] [--flip] [--scales N,N] [--tile N] [--overlap SHARE].
    """
    parser.epilog = EPILOG
    add_run_arguments(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=pathlib.Path,
        help="folder of the data set that DETECTIONS.json is about",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="folder for the results (default: WORKDIR/eval/step_N, or DETECTIONS_eval)",
    )
    add_test_time_arguments(parser)
    add_hosts(parser)

"""python -m jaxrcnn evaluate WORKDIR, or DETECTIONS.json --data DIR"""

import argparse
import pathlib

from jaxrcnn.cli.arguments import FIELDS
from jaxrcnn.cli.arguments.run import add_run_arguments
from jaxrcnn.cli.arguments.test_time import add_test_time_arguments
from jaxrcnn.cli.hosts import add_hosts

TAKES_FIELDS = True

EPILOG = f"""\
The metrics, the detections, an image of some of them and a report that explains the score \
(report.html) are written to WORKDIR/eval/step_N.

To score the detections of any other detector, give a file in COCO's results format instead of \
WORKDIR, and the folder of the data set with --data DIR. The format of the data set and its \
validation split are found; --config.data.eval_split chooses another split. The results are \
written to a folder DETECTIONS_eval next to the file.

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
        help="folder of the data set, to score a file of detections instead of a run",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="folder for the results (default: WORKDIR/eval/step_N, or DETECTIONS_eval)",
    )
    add_test_time_arguments(parser)
    add_hosts(parser)

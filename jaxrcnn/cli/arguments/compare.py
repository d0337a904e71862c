"""python -m jaxrcnn compare STUDY ..."""

import argparse
import pathlib

from jaxrcnn.study.measures import SCORES

EPILOG = """\
STUDY is a folder that `jaxrcnn study` wrote, or a study.json under any name. In the table, a \
study has the name of the folder or the file; NAME=STUDY gives it another one.

With --control, the differences in every other study are compared with those of the same variants \
in the control, paired by seed. "undone" is the share of the control's mean difference that is \
absent: 0 % if the differences are equal, 100 % if the study has none. It is "-" if the control's \
difference may be 0."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """STUDY ... [--control STUDY] [--measure NAME] [--out FILE]."""
    parser.epilog = EPILOG
    parser.add_argument("studies", metavar="STUDY", nargs="+", help="results of a study")
    parser.add_argument(
        "--control",
        metavar="STUDY",
        help="study whose differences are compared with those of the others",
    )
    parser.add_argument(
        "--measure",
        metavar="NAME",
        default=SCORES[0],
        help=f"score to compare at the end of the runs: {', '.join(SCORES)} (recall of the "
        "proposals at IoU .5 and .7) or loss (on the evaluation images); or a diagnostic such as "
        "width/0.5, of which the mean over the second half of each run is compared (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.png",
        type=pathlib.Path,
        help="also draw the differences and their intervals",
    )

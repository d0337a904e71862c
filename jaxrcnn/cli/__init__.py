"""python -m jaxrcnn COMMAND ..."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from jaxrcnn import __version__
from jaxrcnn.cli.devices import check_devices
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.cli.hosts import HELP, find_hosts, together
from jaxrcnn.cli.parsing import OneLineParser
from jaxrcnn.cli.program import run_program
from jaxrcnn.runtime.process import prepare_output, prepare_process

COMMANDS = {
    "train": "Train a detector.",
    "check": "Find everything that is wrong with a data set, and describe it.",
    "configs": "List the configs that come with jaxrcnn.",
    "evaluate": "Compute average precision on a data set and explain it in a report.",
    "proposals": "Measure the recall of a model's region proposals, and save them.",
    "predict": "Detect objects in images and draw their boxes.",
    "visualize": "Show what training steps are fed: images, boxes, anchors and RoIs.",
    "convert": "Convert checkpoints of torchvision and Detectron2.",
    "export": "Export a model, from pixels to boxes, as one StableHLO program.",
    "parity": "Compare a model with torchvision, stage by stage.",
    "replay": "Repeat the step in which a run diverged, and find the operation.",
    "benchmark": "Measure speed, memory and cost, optionally next to torchvision.",
    "study": "Train with several schemes and compare the results in a report.",
    "compare": "Show the results of several studies in one table and one plot.",
}
"""Name and summary. jaxrcnn.cli.arguments.NAME has add_arguments(parser), and jaxrcnn.cli.NAME has
main(arguments) -> int; or main(arguments, fields), if the former has TAKES_FIELDS = True: then
``--config.FIELD VALUE`` may follow the arguments. With USES_DEVICES = False jax is not loaded.
`train` alone reads its words itself, since nearly all of them are fields.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; argv is sys.argv[1:] unless given.

    Without a command it prints the help. Wrong input ends the program with one line on stderr and
    an exit code of `jaxrcnn.cli.errors`.
    """
    prepare_output()
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in COMMANDS:
        _without_command(argv)
    name, *words = argv
    if name == "train":
        from jaxrcnn.cli import train

        return train.main(words, program="jaxrcnn train")
    described = importlib.import_module(f"jaxrcnn.cli.arguments.{name}")
    parser = OneLineParser(f"jaxrcnn {name}", COMMANDS[name])
    described.add_arguments(parser)
    takes_fields = getattr(described, "TAKES_FIELDS", False)
    words, fields = split_fields(words) if takes_fields else (words, [])
    arguments, strays = parser.parse_known_args(words)
    if strays:
        parser.error(f"unrecognized arguments: {' '.join(strays)}")
    again = "; a study goes on when it is started again" if name == "study" else ""
    with one_line_errors(again, getattr(arguments, "workdir", None)):
        hosts = find_hosts(*(getattr(arguments, option, None) for option in HELP))
        if getattr(described, "USES_DEVICES", True):
            prepare_process()
        with together(hosts):
            if getattr(described, "USES_DEVICES", True):
                check_devices()
            # Only now are the command's module and the libraries that it needs imported.
            command = importlib.import_module(f"jaxrcnn.cli.{name}")
            return command.main(arguments, *([fields] if takes_fields else []))


def program() -> NoReturn:
    """The process of `jaxrcnn` and `python -m jaxrcnn`."""
    run_program(main)


def split_fields(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command, and apart from them each ``--config.FIELD`` with its values.

    argparse would take a value for an argument that may be left out.
    """
    rest: list[str] = []
    fields: list[str] = []
    of_field = False
    for word in words:
        if word.startswith("--"):
            of_field = word.startswith("--config.")
        (fields if of_field else rest).append(word)
    return rest, fields


def _without_command(argv: Sequence[str]) -> NoReturn:
    """Print the help or the version, or end the program with what is wrong about the first word."""
    parser = OneLineParser("jaxrcnn", "Faster R-CNN in JAX.")
    parser.add_argument("--version", action="version", version=f"jaxrcnn {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.usage = "jaxrcnn [-h] [--version] COMMAND ..."
    summaries = "\n".join(f"  {name:11}{summary}" for name, summary in COMMANDS.items())
    parser.epilog = f"commands:\n{summaries}\n\n`jaxrcnn COMMAND --help` describes a command."
    if argv:
        parser.parse_args(argv[:1])
    parser.print_help()

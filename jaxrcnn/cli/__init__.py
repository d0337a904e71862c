"""python -m jaxrcnn COMMAND ..."""

import importlib
import sys
from collections.abc import Sequence

from jaxrcnn.cli.parsing import OneLineParser, fail, stop
from jaxrcnn.config import ConfigError
from jaxrcnn.runtime.process import prepare_process

COMMANDS = {
    "evaluate": "Measure a run's average precision on its evaluation split.",
    "proposals": "Measure the recall of a run's proposals; dump them.",
    "predict": "Find the objects in images with a run's detector.",
    "convert": "Weights of torchvision or Detectron2 in, or out.",
    "export": "Write a model as one program that needs only jax.",
    "parity": "Compare a model with torchvision, stage by stage.",
    "benchmark": "Measure speed, memory and cost, here and in a peer.",
    "study": "Train the same with several schemes, and compare them.",
}
"""Name and summary. jaxrcnn.cli.NAME has add_arguments(parser) and main(arguments) -> int.

One that takes fields of a config beside its arguments has main(arguments, fields) and TAKES_FIELDS.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; argv is sys.argv[1:] unless given.

    Only the module of the command that was asked for is imported. Wrong input ends the program:
    one line on stderr and exit code 2; an interruption too, with 130.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in COMMANDS:
        _say_commands(argv)
    name, *words = argv
    command = importlib.import_module(f"jaxrcnn.cli.{name}")
    parser = OneLineParser(prog=f"jaxrcnn {name}", description=COMMANDS[name], allow_abbrev=False)
    command.add_arguments(parser)
    takes_fields = getattr(command, "TAKES_FIELDS", False)
    arguments, fields = parser.parse_known_args(words)
    strays = fields if not takes_fields else not_fields(fields)
    if strays:
        parser.error(f"unrecognized arguments: {' '.join(strays)}")
    from jaxrcnn.data.errors import DataError  # train.py's --help need not wait for the readers

    prepare_process()
    try:
        return command.main(arguments, fields) if takes_fields else command.main(arguments)
    except (ConfigError, DataError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        stop("; a study goes on when it is started again" if name == "study" else "")


def not_fields(words: Sequence[str]) -> list[str]:
    """The words before the first ``--config.FIELD``, and the flags of another kind."""
    first = next((i for i, word in enumerate(words) if word.startswith("--config.")), len(words))
    flags = [word for word in words[first:] if word.startswith("--")]
    return [*words[:first], *(word for word in flags if not word.startswith("--config."))]


def _say_commands(argv: Sequence[str]) -> None:
    """Ends the program with the help, or with what is wrong about the first word."""
    parser = OneLineParser(prog="jaxrcnn", description="Faster R-CNN in JAX.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    parser.parse_args(argv[:1])

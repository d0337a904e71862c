"""What the commands share: arguments are checked, and wrong ones end the program in one line."""

import argparse
import math
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from jaxrcnn.training.checkpoint import Checkpoint

from jaxrcnn.config import ListedError
from jaxrcnn.writing import abandon

TRACEBACK = "JAXRCNN_TRACEBACK"
"""Environment variable that, set to anything, shows where an error of one line was raised."""


def fail(error: str | Exception, code: int | None = None) -> NoReturn:
    """Ends the program: the message on one line of stderr, a list on one line each.

    Args:
        error: what is wrong.
        code: the exit code, by default that of the error, or else 2.
    """
    if os.environ.get(TRACEBACK) and sys.exception():
        traceback.print_exc()
    lines = [str(error)]
    if isinstance(error, ListedError):
        lines = [f"{error.head}:", *error.items, error.remedy]
    indents = "error: ", *["  "] * len(lines)
    rows = [x + " ".join(line.split()) for x, line in zip(indents, lines, strict=False)]
    _complain("\n".join(rows))
    raise SystemExit(code or getattr(error, "exit_code", 2)) from None


def stop(message: str, code: int = 130) -> NoReturn:
    """Ends an interrupted program: the message on a line of its own."""
    if os.environ.get(TRACEBACK) and sys.exception():
        traceback.print_exc()
    _complain("\n" + message)
    raise SystemExit(code) from None


def _complain(text: str) -> None:
    """Print on stderr, which `2>&1 | head` may have closed: the exit code says it too."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        abandon(sys.stderr)


def show(text: str) -> NoReturn:
    """Ends the program with a text on stdout, exit code 0, even if `head` reads only its start."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        abandon(sys.stdout)
    raise SystemExit(0)


class ParagraphFormatter(argparse.HelpFormatter):
    """argparse's layout for texts of several paragraphs, of which lists keep their lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            part if "\n  " in part else textwrap.fill(part, width, break_on_hyphens=False)
            for part in text.split("\n\n")
        )


class OneLineParser(argparse.ArgumentParser):
    """argparse without the usage above an error."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            formatter_class=ParagraphFormatter,
            allow_abbrev=False,
        )

    def print_help(self, file: Any = None) -> NoReturn:
        """Ends the program."""
        show(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        fail(f"{message}; see {self.prog} --help")


class Renamed(argparse.Action):
    """The action of an option's earlier name, which is not in the help; the value is stored."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, **{**options, "help": argparse.SUPPRESS})

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value and say the option's name."""
        print(f"note: {option_string} is now called --{self.dest}", file=sys.stderr)
        setattr(namespace, self.dest, values)


def checkpoint(text: str) -> "Checkpoint":
    """The type of an argument that is best, last or a step."""
    if text == "best" or text == "last":
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected best, last or a step such as 5000"
        )
    return int(text)


def count(text: str) -> int:
    """The type of an argument that is a whole number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """The type of an argument that is whole numbers from 1, commas between."""
    return tuple(count(part.strip()) for part in text.split(","))


def some_of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """The type of an argument that is some of these names, commas between."""

    def names(text: str) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(text.split(",")))
        if unknown := [name for name in wanted if name not in known]:
            raise argparse.ArgumentTypeError(
                f"got {unknown[0]!r}, expected some of {','.join(known)}"
            )
        return wanted

    return names


def share_or_best(text: str) -> float | Literal["best"]:
    """The type of an argument that is a number from 0 to 1, or best."""
    try:
        return "best" if text == "best" else share(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or best") from None


def share(text: str) -> float:
    """The type of an argument that is a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 0 to 1")
    return number

"""How errors end a program: expected ones with one line, and all with an exit code.

0 done; 1 an unexpected error; 2 the config or the data cannot be used, or memory ran out;
3 training diverged; 4 a checkpoint is damaged, or the disk is full; 5 another process of the run
has ended; 128 + N ended by signal N, such as 130 by Ctrl-C and 143 by SIGTERM.
"""

import contextlib
import os
import pathlib
import platform
import signal
import sys
from collections.abc import Iterator
from importlib import metadata

from jaxrcnn import __version__
from jaxrcnn.cli.parsing import fail, stop
from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.expected import expected
from jaxrcnn.training.interruption import Stop
from jaxrcnn.training.signals import name_of
from jaxrcnn.writing import abandon

REPORTED = ("config.json", "history.json", "pieces.json", "origin.json", "metrics.jsonl", "failure")
"""The files of a run that explain an error."""


@contextlib.contextmanager
def one_line_errors(
    after_interruption: str = "", workdir: str | os.PathLike[str] | None = None
) -> Iterator[None]:
    """End the program with one line and the error's exit code if an expected error is raised.

    Any other error is raised again, with a note that says what to send with a bug report.

    Args:
        after_interruption: appended to the line that is printed if a signal ends the program.
        workdir: of the run; the note names its files.
    """
    try:
        yield
        sys.stdout.flush()
    except Interrupted as error:
        stop(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Stop) else signal.SIGINT
        stop(f"{name_of(number)}: interrupted{after_interruption}", 128 + number)
    except BrokenPipeError:
        leave_pipe()
    except Exception as error:
        if hasattr(error, "exit_code"):  # it may have a list
            fail(error)
        if end := expected(error):
            fail(*end)
        error.add_note(report_note(workdir))
        raise


def leave_pipe() -> None:
    """End the program as SIGPIPE would, since whoever read its output is gone."""
    abandon(sys.stdout)
    raise SystemExit(128 + signal.SIGPIPE) from None


def report_note(workdir: str | os.PathLike[str] | None) -> str:
    """What to send with the report of an unexpected error: two lines."""
    packages = f"jaxrcnn {__version__}, jax {metadata.version('jax')}"
    versions = f"{packages}, Python {platform.python_version()}, {platform.platform()}"
    files = [] if workdir is None else [pathlib.Path(workdir, name) for name in REPORTED]
    there = "".join(f", {path}" for path in files if path.exists())
    return f"\nThis is a bug. To report it, send the lines above{there}.\n{versions}"

"""What becomes of errors: a line for those that a person can do something about, and exit codes.

0 done; 1 an error that nobody expected; 2 the config or the data cannot be used; 3 training
diverged; 4 a checkpoint is damaged, or the disk is full; 5 another process of the run is gone;
128 + N ended by signal N, such as 130 by Ctrl-C and 143 by SIGTERM.
"""

import contextlib
import errno
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
from jaxrcnn.training.interruption import Stop, name_of

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE)
"""What the disk reports, and no choice of another path would change: exit code 4."""

REPORTED = ("config.json", "history.json", "pieces.json", "origin.json", "metrics.jsonl", "failure")
"""The files of a run that explain an error."""


@contextlib.contextmanager
def one_line_errors(
    after_interruption: str = "", workdir: str | os.PathLike[str] | None = None
) -> Iterator[None]:
    """End the program in one line, and with the error's exit code, where an error is expected.

    Any other error is raised with a note that says what a report of it needs.

    Args:
        after_interruption: the end of the line where a signal ends it.
        workdir: a run's folder, whose files belong to a report.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Stop) else signal.SIGINT
        stop(f"{name_of(number)}: interrupted{after_interruption}", 128 + number)
    except Interrupted as error:
        stop(str(error), error.exit_code)
    except BrokenPipeError:
        leave_pipe()
    except OSError as error:
        if error.errno not in DISK and (error.filename is None or error.errno is None):
            error.add_note(report_note(workdir))
            raise
        what = error.filename or "writing a file"  # what is written to an open one has no name
        fail(f"{what}: {error.strerror}", 4 if error.errno in DISK else 2)
    except Exception as error:
        if not hasattr(error, "exit_code"):
            error.add_note(report_note(workdir))
            raise
        fail(error)


def leave_pipe() -> None:
    """End the program as SIGPIPE would, since whoever read its output is gone."""
    # What is left must have somewhere to go when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(128 + signal.SIGPIPE) from None


def report_note(workdir: str | os.PathLike[str] | None) -> str:
    """What to send with the report of an unexpected error: two lines."""
    packages = f"jaxrcnn {__version__}, jax {metadata.version('jax')}"
    versions = f"{packages}, Python {platform.python_version()}, {platform.platform()}"
    files = [] if workdir is None else [pathlib.Path(workdir, name) for name in REPORTED]
    there = "".join(f", {path}" for path in files if path.exists())
    return f"\nThis is a bug. To report it, send the lines above{there}.\n{versions}"

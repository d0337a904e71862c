"""What becomes of errors that a person can do something about: one line, and an exit code."""

import contextlib
from collections.abc import Iterator

from jaxrcnn.cli.parsing import fail, stop
from jaxrcnn.config import ConfigError


@contextlib.contextmanager
def one_line_errors(after_interruption: str = "") -> Iterator[None]:
    """End the program in one line where wrong input is found, or training diverged: exit code 2.

    Args:
        after_interruption: the end of the line where it is interrupted (exit code 130).
    """
    try:
        yield
    except KeyboardInterrupt:
        stop(after_interruption)
    except Exception as error:
        if not _is_for_people(error):
            raise
        fail(error)


def _is_for_people(error: Exception) -> bool:
    """Whether an error's message is written for who started the program."""
    if isinstance(error, ConfigError):
        return True
    # Only now, since they load libraries that not every command needs.
    from jaxrcnn.data.errors import DataError
    from jaxrcnn.training.errors import NonFiniteLossError

    return isinstance(error, DataError | NonFiniteLossError)

"""Writing to a disk that may be full for a while."""

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from jaxrcnn.training.errors import OF_DISKS, CheckpointError

PAUSES = (1.0, 4.0, 15.0, 40.0, 60.0)
"""Seconds before each further try: two minutes in all."""

MAY_PASS = OF_DISKS | {errno.ETIMEDOUT, getattr(errno, "EREMOTEIO", errno.EIO)}
"""Errors that say something of the disk or its network, and not of the program."""

OF_FOLDERS = frozenset({errno.EACCES, errno.EPERM})
"""Errors of folders in which one may not write: waiting does not help."""

T = TypeVar("T")


def write_patiently(
    write: Callable[[], T],
    what: object,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """What a function returns that writes, called again while the disk fails.

    Args:
        write: to call; a second call must not be harmed by what the first has left.
        what: is written, for the lines.
        say: takes a line for each try that failed.
        pause: waits for so many seconds.

    Raises:
        CheckpointError: the last try failed too, or one may not write there.
        Exception: any other error of the function, at once.
    """
    for number, seconds in enumerate((*PAUSES, None), 1):
        try:
            return write()
        except Exception as error:
            refused, reason = disk_error(error, OF_FOLDERS), disk_error(error)
            if refused:
                raise CheckpointError(
                    f"{what} could not be written ({refused}); change the permissions, then repeat "
                    "the command to resume"
                ) from error
            if not reason:
                raise
            if seconds is None:
                raise CheckpointError(
                    f"{what} could not be written ({reason}, {number} tries); make room or repair "
                    "the disk, then repeat the command to resume"
                ) from error
            say(f"note: {what} was not written ({reason}); trying again in {seconds:g} s")
        pause(seconds)
    raise AssertionError  # the last try returns or raises


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the system says of the disk into one error; also a decorator.

    Raises:
        CheckpointError: in place of an OSError that is no mistake of the program.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in MAY_PASS | OF_FOLDERS:
            raise
        where = error.filename or "a file could not be written"
        raise CheckpointError(f"{where}: {error.strerror}") from error


def disk_error(error: BaseException | None, numbers: Collection[int] = MAY_PASS) -> str:
    """What the system says in an error, or in what caused it, if it has one of some numbers.

    Args:
        error: any.
        numbers: of the system's errors, by default those of disks.

    Returns:
        Its text; empty if it has none of these numbers.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        # Tensorstore has it as text alone.
        said = re.search(r"\[(?:OS error |os_error_code=')(\d+)", str(error))
        number = int(said[1]) if said else number
        if number is not None and number in numbers:
            return os.strerror(number)
        error = error.__cause__ or error.__context__
    return ""

"""Files that a crash or a power failure leaves whole, and streams that nobody reads any more."""

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TextIO


def replace_text(path: pathlib.Path, text: str) -> None:
    """Rewrite a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)  # it takes the space that is missing
        raise


def flush_to_disk(paths: Iterable[pathlib.Path]) -> None:
    """Wait until files, and the names in folders, are where a power failure does not reach them.

    Whoever wrote them: until then, the system keeps them in memory for half a minute or so.

    Raises:
        OSError: one could not be written.
    """
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            with _unless_unsupported(path):
                os.fsync(file)
        finally:
            os.close(file)


@contextlib.contextmanager
def _unless_unsupported(path: pathlib.Path) -> Iterator[None]:
    """Some network file systems cannot flush folders."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise


def abandon(stream: TextIO) -> None:
    """Discard what is still written to a pipe whose reader has gone; else it fails at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

"""One run in a folder at a time."""

import contextlib
import datetime
import errno
import os
import pathlib
import socket
from collections.abc import Callable, Iterator

from jaxrcnn.config import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FILE = ".lock"
"""In the folder. It may stay there: only a process that has it open holds the lock."""

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without locks answers."""


@contextlib.contextmanager
def locked(folder: pathlib.Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from writing to a run's folder, which is made where it is missing.

    The lock is the system's (flock; NFS makes it one of its server), so that it ends with the
    process, however that dies. No process that this one starts inherits it. A folder that is made
    and left empty is removed.

    Args:
        folder: of the run.
        say: prints a line where the system or the file system has no such locks.

    Raises:
        ConfigError: another process has the folder; names its host and process.
        OSError: the folder cannot be made or written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: choose another folder for the run")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    file = _open_locked(folder, say)
    try:
        yield
    finally:
        # What goes wrong here is less than what has: the folder may be gone, or its disk.
        with contextlib.suppress(OSError):
            if made and os.listdir(folder) == [FILE]:
                (folder / FILE).unlink()
                folder.rmdir()
        with contextlib.suppress(OSError):
            os.truncate(file, 0)
        os.close(file)


def _open_locked(folder: pathlib.Path, say: Callable[[str], None]) -> int:
    """The file, locked and with who holds it inside."""
    path = folder / FILE
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(file, folder, say)
            # The one before may have removed the file between the two calls.
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                with contextlib.suppress(OSError):  # on a full disk it is held without a name
                    os.truncate(file, 0)
                    os.write(file, _myself().encode())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        folder.mkdir(parents=True, exist_ok=True)


def _lock(file: int, folder: pathlib.Path, say: Callable[[str], None]) -> None:
    if fcntl is None:
        say(f"note: {folder} cannot be locked on this system; a second run would not be noticed")
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 1000).decode(errors="replace") or "another process"
        raise ConfigError(
            f"{folder} is in use by {holder}: wait until that has ended, or choose another folder"
        ) from None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        say(f"note: the file system of {folder} has no locks; a second run would not be noticed")


def _myself() -> str:
    """What another process says of this one."""
    now = datetime.datetime.now().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"

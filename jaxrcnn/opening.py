"""Open files so that no read hangs: only regular files, and each read has a time limit.

A file on a network drive that does not answer blocks the thread that opens or reads it, and nothing
can interrupt that. So another thread does both, and is abandoned when the time is over. A call with
many short reads is given to such a thread as a whole, by `attend`, since a change of threads takes
as long as a short read.
"""

import contextlib
import contextvars
import errno
import functools
import io
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

SECONDS = 60.0
"""How long an open or a read may take unless `read_timeout` says otherwise."""

FIRST = 2**16
"""Bytes that are read together with opening a file, unless told otherwise."""

CHUNK = 2**22
"""Bytes of a read where the whole file is wanted."""

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)

Result = TypeVar("Result")

_SECONDS: contextvars.ContextVar[float] = contextvars.ContextVar("read_timeout", default=SECONDS)


class Overdue(TimeoutError):
    """The time of an open or a read is over."""


@contextlib.contextmanager
def read_timeout(seconds: float) -> Iterator[None]:
    """Limit the time of each open and each read within it, in this thread; 0 is no limit."""
    token = _SECONDS.set(seconds)
    try:
        yield
    finally:
        _SECONDS.reset(token)


def open_file(path: str | os.PathLike[str], first: int = FIRST) -> io.BufferedReader:
    """A regular file, opened for reading bytes.

    It can be searched. Opening it and each read have the bound of the `read_timeout` around the
    opening. It has no `fileno`, since what is read by that has no bound.

    Args:
        path: of the file; symbolic links are followed.
        first: bytes that are read at once.

    Raises:
        OSError: it cannot be opened, or is no regular file; reads raise it too.
        Overdue: the time is over; an OSError too.
    """
    return _Buffered(_File(os.fspath(path), first, _SECONDS.get()), max(first, 1))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole of a regular file.

    Raises:
        OSError: see `open_file`, or it is larger than the memory of this machine.
    """
    with open_file(path) as file:
        return file.read()


def read_beginning(path: str | os.PathLike[str], size: int) -> bytes:
    """The first bytes of a regular file, as many as asked for or all of them.

    Raises:
        OSError: see `open_file`.
    """
    name = os.fspath(path)
    return _bounded(_SECONDS.get(), name, lambda: _read_first(name, size), lambda _: None)


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a regular file in JSON holds.

    Raises:
        OSError: see `read_bytes`.
        ValueError: it is not JSON in UTF-8, or nests too deeply.
    """
    try:
        return json.loads(read_bytes(path).decode())
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def attend(call: Callable[[], Result]) -> Result:
    """What a call returns; the opens and reads in it have the bound, and the rest of it has none.

    Raises:
        Overdue: an open or a read takes too long. The call is ended there once that returns.
    """
    seconds = _SECONDS.get()
    if not seconds or _here.worker is not None:
        return call()
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    outcome = worker.run(contextvars.copy_context(), call, seconds)
    _idle.append(worker)
    result, error = outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def check_regular(path: str | os.PathLike[str]) -> None:
    """See that a path is a regular file that can be read, for a library that opens it by its path.

    Raises:
        OSError: see `open_file`.
    """
    open_file(path, first=0).close()


class _Buffered(io.BufferedReader):
    """Does not take the memory for more bytes than the file has, as a lying header may ask for."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > FIRST:
            size = min(size, max(self.raw.size, FIRST))  # type: ignore[attr-defined]
        return super().read(size)


class _File(io.RawIOBase):
    """A regular file whose reads have a bound."""

    def __init__(self, path: str, first: int, seconds: float) -> None:
        super().__init__()
        self._fd = -1
        self._path, self._seconds, self._at = path, seconds, 0
        self._fd, self.size, self._first = _bounded(
            seconds, path, lambda: _open(path, first), lambda opened: opened and os.close(opened[0])
        )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self._path)
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        if self.size > _memory():
            raise OSError(errno.EFBIG, "is larger than the memory of this machine", self._path)
        return b"".join(iter(lambda: self._read(CHUNK), b""))

    def close(self) -> None:
        if not self.closed and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def _read(self, size: int) -> bytes:
        if self._at < len(self._first):
            content = self._first[self._at : self._at + size]
        elif self._fd < 0:
            raise _overdue(self._seconds, self._path)
        elif self._at >= max(self.size, len(self._first)):
            return b""
        else:
            # After a timeout the descriptor is the thread's, which is still reading from it.
            fd, self._fd, at = self._fd, -1, self._at
            try:
                content = _bounded(
                    *(self._seconds, self._path, lambda: os.pread(fd, size, at)),
                    lambda _: os.close(fd),
                )
            except Overdue:
                raise
            except Exception:
                self._fd = fd
                raise
            self._fd = fd
        self._at += len(content)
        return content


def _open(path: str, first: int) -> tuple[int, int, bytes]:
    """The descriptor of a regular file, its size, and its first bytes."""
    _check_kind(path, os.stat(path))  # opening a device may do something
    # If it is another file by now: a named pipe would block, a terminal become the process's own.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        _check_kind(path, status)
        size = status.st_size
        # Those in /proc have no size before they are read.
        return fd, size, os.pread(fd, min(first, size or first), 0) if first else b""
    except BaseException:
        os.close(fd)
        raise


def _read_first(path: str, size: int) -> bytes:
    fd, _, content = _open(path, size)
    os.close(fd)
    return content


def _check_kind(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for is_it, kind in KINDS if is_it(status.st_mode)), "something else")
        code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise OSError(code, f"is {kind}, not a regular file", path)


def _memory() -> float:
    """Bytes of this machine's memory."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no POSIX
        return float("inf")


def _overdue(seconds: float, path: str) -> Overdue:
    what = f"gave no answer within {seconds:g} s (data.read_timeout)"
    return Overdue(errno.ETIMEDOUT, what, path)


def _bounded(
    seconds: float,
    path: str,
    call: Callable[[], Result],
    discard: Callable[[Result | None], object],
) -> Result:
    """What one open or read returns, within some seconds; a late result is discarded."""
    if _here.worker is not None:
        return _here.worker.read(path, call, discard)
    with read_timeout(seconds):
        return attend(lambda: _here.worker.read(path, call, discard) if _here.worker else call())


class _Abandoned(BaseException):
    """Ends what runs in a thread that nobody waits for any more."""


class _Worker:
    """A thread that makes one call after the other, while whoever gave it watches its reads."""

    def __init__(self) -> None:
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        self._decision = threading.Lock()  # of whether an answer comes in time
        self._abandoned = False
        self._reading: tuple[float, str] | None = None  # since when, and which file
        threading.Thread(target=self._work, name="reader", daemon=True).start()

    def run(
        self, context: contextvars.Context, call: Callable[[], Result], seconds: float
    ) -> tuple[Result | None, BaseException | None]:
        """What the call returns or raises.

        Raises:
            Overdue: a read takes longer, and the thread is lost.
        """
        self._call = functools.partial(context.run, call)
        self._outcome = None
        self._given.release()
        wait = seconds
        try:
            while not self._done.acquire(timeout=min(wait, threading.TIMEOUT_MAX)):
                wait = self._seconds_left(seconds)
        except BaseException:  # a signal too
            self._abandoned = True
            raise
        outcome, self._outcome = self._outcome, None
        return outcome  # type: ignore[return-value]

    def _seconds_left(self, seconds: float) -> float:
        """How long the present read may still take."""
        with self._decision:
            if self._reading is None:
                return seconds
            since, path = self._reading
            left = since + seconds - time.monotonic()
            if left <= 0:
                self._abandoned = True
                raise _overdue(seconds, path)
        return left

    def read(
        self, path: str, call: Callable[[], Result], discard: Callable[[Result | None], object]
    ) -> Result:
        """What an open or a read in this thread returns."""
        result = None
        self._reading = time.monotonic(), path
        try:
            result = call()
        finally:
            with self._decision:
                self._reading = None
            if self._abandoned:
                discard(result)
                raise _Abandoned
        return result  # type: ignore[return-value]

    def _work(self) -> None:
        _here.worker = self
        while not self._abandoned:
            self._given.acquire()
            self._answer()  # its locals go: a thread that waits keeps no content

    def _answer(self) -> None:
        try:
            self._outcome = self._call(), None
        except BaseException as error:
            self._outcome = None, error
        self._done.release()


class _Here(threading.local):
    worker: _Worker | None = None  # whose thread this is


_here = _Here()
_idle: list[_Worker] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked process has none of the threads

"""Signals of the system, as a thread sees them come, and the end of a process."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import NoReturn

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""That ask a program to end."""
AGAIN = [getattr(signal, name) for name in ("SIGURG",) if hasattr(signal, name)]
"""Sent to this process itself, to try again what a signal could not do; harmless elsewhere."""
SOON = 0.05
"""Seconds until then."""
LOADING = [
    function.__code__
    for function in (ExtensionFileLoader.create_module, ExtensionFileLoader.exec_module)
]
SHOW_CURSOR = "\x1b[?25h"
"""For a terminal: live lines hide its cursor."""


def end_now(code: int, line: str) -> NoReturn:
    """End the process, whatever its threads do, with a line on stderr and an exit code."""
    cursor = SHOW_CURSOR if sys.stdout.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{line}{cursor}\n".encode())
    os._exit(code)


def name_of(number: int) -> str:
    """Of a signal, such as SIGTERM."""
    return signal.Signals(number).name


def listen(watch: Callable[[socket.socket], None]) -> contextlib.ExitStack:
    """Call a function in a thread with a socket from which it reads signals as soon as they come.

    A handler only runs between two steps of the interpreter, and compiling is a single one.

    Returns:
        Its `close` closes the other end of the socket, and waits for the function.
    """
    with contextlib.ExitStack() as opened:
        receiver, sender = socket.socketpair()
        opened.callback(receiver.close)
        thread = threading.Thread(target=watch, args=(receiver,), daemon=True)
        thread.start()
        opened.callback(thread.join)
        opened.callback(sender.close)
        sender.setblocking(False)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        opened.callback(signal.set_wakeup_fd, before)
        return opened.pop_all()


def next_signal(
    receiver: socket.socket, deadline: float | None, only: int | None = None
) -> int | None:
    """The number of the next of `SIGNALS`, or of one; None if none comes in time, 0 at the end."""
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
        receiver.settimeout(left)
        try:
            byte = receiver.recv(1)
        except TimeoutError:
            return None
        number = byte[0] if byte else 0
        if number == 0 or number == only or (only is None and number in SIGNALS):
            return number


def is_closed(receiver: socket.socket, seconds: float) -> bool:
    """Whether the other end is closed within some seconds; signals meanwhile are not counted."""
    return next_signal(receiver, time.monotonic() + seconds, only=0) == 0


def try_again() -> None:
    """Have the main thread handle a signal once more, somewhere else."""
    threading.Timer(SOON, wake_main_thread).start()


def wake_main_thread() -> None:
    """Make the main thread handle a signal that came earlier, or to another process."""
    for number in AGAIN:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def is_loading_extension(frame: FrameType | None) -> bool:
    """Whether a module in C is being loaded, which makes an ImportError of any other error."""
    while frame is not None and frame.f_code not in LOADING:
        frame = frame.f_back
    return frame is not None

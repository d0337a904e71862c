"""Signals that ask a run to end: it finishes its step and saves, or leaves what can be left.

SIGTERM is what schedulers send, SIGINT is Ctrl-C, and SIGHUP a terminal that is closed. A signal
that is ignored when the run begins, as SIGHUP is under `nohup`, stays ignored.
"""

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.undisturbed import UNDISTURBED

if TYPE_CHECKING:
    from jaxrcnn.training.checkpoint import Checkpoints
    from jaxrcnn.training.state import TrainState

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
AGAIN = getattr(signal, "SIGURG", None)
"""Sent to this process itself, to try again what a signal could not do; harmless elsewhere."""
SOON = 0.05
"""Seconds until then."""
LOADING = [
    function.__code__
    for function in (ExtensionFileLoader.create_module, ExtensionFileLoader.exec_module)
]
SAME = 1.0
"""Seconds in which signals count as one: `timeout`, for one, sends two."""
SHOW_CURSOR = "\x1b[?25h"
"""For a terminal: live lines hide its cursor."""


class Stop(KeyboardInterrupt):
    """A signal asks what is being done to end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(name_of(number))
        self.number = number
        """Of the signal."""


class Interruption:
    """Takes the signals that ask a run to end, from `with` on to its end.

    The first is noted, and raised as `Stop` where what is being done can be left. A second ends the
    process at once, and so does the time limit. Outside of the main thread, where Python allows no
    handlers, and before `with`, signals do what they did before.

    Args:
        seconds: from the first signal on, after which the process ends, whatever it does then.
        say: prints a line.
    """

    def __init__(self, seconds: float, say: Callable[[str], None] | None = None) -> None:
        self._seconds, self._say = seconds, say or _to_stderr
        self.number: int | None = None
        """Of the signal that came; None as long as none has."""
        self._can_leave = self._raised = self._left = False
        self._reached: tuple[TrainState, Callable[[], None]] | None = None
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        # A handler only runs between two steps of the interpreter, and compiling is a single one.
        # What reads the other end of this pair knows of a signal as soon as it comes.
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        watch = threading.Thread(target=self._watch, args=(receiver,), daemon=True)
        watch.start()
        self._restore.callback(receiver.close)
        self._restore.callback(watch.join)
        self._restore.callback(sender.close)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._restore.callback(signal.set_wakeup_fd, before)
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._restore.callback(signal.signal, number, signal.signal(number, self._handle))
        if AGAIN is not None:
            self._restore.callback(signal.signal, AGAIN, signal.signal(AGAIN, self._handle))
        self._restore.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
        sys.unraisablehook = functools.partial(self._take_lost, sys.unraisablehook)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._restore.close()
        if isinstance(error, Stop):
            raise _interrupted(error.number, "nothing to save yet") from None
        if error is None:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give a signal that came too late to end what is done to an interruption around it.

        That of a program, which has something else to do next, such as another run of a study.
        """
        if self.number is not None and not self._raised:
            around = getattr(signal.getsignal(self.number), "__self__", None)
            if isinstance(around, Interruption):
                signal.raise_signal(self.number)

    @contextlib.contextmanager
    def leavable(self) -> Iterator[None]:
        """What is done inside can be left, since it changes no state: `Stop` ends it at once."""
        before, self._can_leave = self._can_leave, True
        try:
            self.check()
            yield
        except Stop:
            self._left = True
            raise
        except Exception as error:
            if self._raised and not self._left:  # somebody took `Stop` for an error of their own
                self._left = True
                raise Stop(self.number or 0) from error
            raise
        finally:
            self._can_leave = before

    def check(self) -> None:
        """See whether a signal came.

        Raises:
            Stop: one did, and was not raised before.
        """
        if self.number is not None and not self._raised:
            self._raised, self._left = True, not self._can_leave
            raise Stop(self.number)

    def leave_pipe(self) -> None:
        """End the run as a signal does, since whoever read its output is gone."""
        self.number = self.number or signal.SIGPIPE

    def hold(self, state: "TrainState", flush: Callable[[], None]) -> None:
        """Take the state after a step, to be saved in the end, and what writes its metrics then."""
        self._reached = state, flush

    @contextlib.contextmanager
    def saving(self, checkpoints: "Checkpoints") -> Iterator[None]:
        """Save the state that was reached where a signal ends what is done inside.

        Raises:
            Interrupted: a signal came; says what was saved.
        """
        try:
            yield
        except Stop as stop:
            if self._reached is None:
                raise
            state, flush = self._reached
            flush()
            checkpoints.save(state)
            checkpoints.wait()
            raise _interrupted(stop.number, f"saved step {int(state.step)}") from None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number != AGAIN:
            self.number = self.number or number
        busy = UNDISTURBED.get() or _is_loading_extension(frame)
        if self._can_leave and busy and AGAIN is not None:
            _try_again()
        elif self._can_leave:
            self.check()

    def _take_lost(self, report: Callable[[Any], object], unraisable: Any) -> None:
        """Raise `Stop` again that was raised where no error can leave, such as in a __del__."""
        if AGAIN is not None and isinstance(unraisable.exc_value, Stop):
            self._raised = False
            _try_again()
        else:
            report(unraisable)

    def _watch(self, receiver: socket.socket) -> None:
        """Of the first signal, say so unless it is dealt with at once; end the process if asked."""
        number = _next_signal(receiver, None)
        if not number:
            return
        self.number = self.number or number
        deadline = time.monotonic() + self._seconds
        pause = time.monotonic() + min(SAME, self._seconds)
        while (left := pause - time.monotonic()) > 0:
            if _next_signal(receiver, left) == 0:
                return
        name = name_of(number)
        if self._reached is not None:
            with contextlib.suppress(Exception):  # the terminal may be gone
                self._say(f"{name}: ending once the state is saved; a second signal ends it now")
        again = _next_signal(receiver, max(deadline - time.monotonic(), 0))
        if again == 0:
            return
        why = (
            f"second {name_of(again)}"
            if again
            else f"not finished {self._seconds:g} s after {name}"
        )
        whole = "; the last checkpoint is intact" if self._reached is not None else ""
        end_now(128 + number, f"{why}: ended without saving{whole}")


def end_now(code: int, line: str) -> NoReturn:
    """End the process, whatever its threads do, with a line on stderr and an exit code."""
    cursor = SHOW_CURSOR if sys.stdout.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{line}{cursor}\n".encode())
    os._exit(code)


def name_of(number: int) -> str:
    """Of a signal, such as SIGTERM."""
    return signal.Signals(number).name


def _interrupted(number: int, saved: str) -> Interrupted:
    return Interrupted(number, f"{name_of(number)}: {saved}; the same command continues the run")


def _next_signal(receiver: socket.socket, seconds: float | None) -> int | None:
    """The number of the next of `SIGNALS`; None where none came in time, and 0 at the end."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
        receiver.settimeout(left)
        try:
            byte = receiver.recv(1)
        except TimeoutError:
            return None
        number = byte[0] if byte else 0
        if number == 0 or number in SIGNALS:
            return number


def _try_again() -> None:
    """Have the main thread handle a signal once more, somewhere else."""
    main = threading.main_thread().ident
    threading.Timer(SOON, signal.pthread_kill, [main, AGAIN]).start()


def _is_loading_extension(frame: FrameType | None) -> bool:
    """Whether a module in C is being loaded, which makes an ImportError of any other error."""
    while frame is not None and frame.f_code not in LOADING:
        frame = frame.f_back
    return frame is not None


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

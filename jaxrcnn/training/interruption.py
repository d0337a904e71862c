"""Signals that ask a run to end: it finishes its step and saves, or leaves what can be left.

SIGTERM is what schedulers send, SIGINT is Ctrl-C, and SIGHUP a terminal that is closed. A signal
that is ignored when the run begins, as SIGHUP is under `nohup`, stays ignored.
"""

import contextlib
import functools
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.signals import (
    AGAIN,
    SIGNALS,
    is_closed,
    is_loading_extension,
    listen,
    name_of,
    next_signal,
    try_again,
)
from jaxrcnn.training.undisturbed import UNDISTURBED

if TYPE_CHECKING:
    from jaxrcnn.training.checkpoint import Checkpoints
    from jaxrcnn.training.state import TrainState

SAME = 1.0
"""Seconds in which signals count as one: `timeout`, for one, sends two."""


class Stop(KeyboardInterrupt):
    """A signal asks what is being done to end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(name_of(number))
        self.number = number
        """Of the signal."""


class Interruption:
    """Takes the signals that ask a run to end, from `with` on to its end.

    The first is noted, and raised as `Stop` where what is being done can be left. A later SIGINT
    gives up at once what is being done, and so does the time limit; other signals do not, since
    schedulers send several. Outside of the main thread, where Python allows no handlers, and before
    `with`, signals do what they did before.

    Args:
        seconds: from the first signal on, after which what is being done is given up.
        say: prints a line.
        end: gives up: ends the process with an exit code and a line. By default that of the
            interruption around this one, such as a program's; without any, a KeyboardInterrupt is
            raised in the main thread, since a notebook or a script goes on after a run.
    """

    def __init__(
        self,
        seconds: float,
        say: Callable[[str], None] | None = None,
        end: Callable[[int, str], object] | None = None,
    ) -> None:
        self._seconds, self._say, self._end = seconds, say or _to_stderr, end
        self._is_of_program = end is not None
        self.number: int | None = None
        """Of the signal that came; None as long as none has."""
        self._can_leave = self._raised = self._left = self._over = False
        self._given_up = ""
        self._reached: tuple[TrainState, Callable[[], None]] | None = None
        self._before: list[tuple[int, Any]] = []
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        if self._end is None and (around := _present()):
            self._end = around._end
        try:
            self._restore.callback(listen(self._watch).close)
            self._restore.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
            sys.unraisablehook = functools.partial(self._take_lost, sys.unraisablehook)
            for number in (*SIGNALS, *AGAIN):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before.append((number, before))
                    signal.signal(number, self._handle)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._close()
        if isinstance(error, Stop):
            raise _interrupted(error.number, "nothing to save yet") from None
        if error is None:
            self._pass_on()

    def _close(self) -> None:
        """Put back what took the signals before; meanwhile, signals are only noted."""
        self._over = True
        try:
            self._restore.close()
            self._put_back()
        finally:  # one that is back already may have raised
            self._put_back()

    def _put_back(self) -> None:
        for number, before in reversed(self._before):
            signal.signal(number, before)

    def _pass_on(self) -> None:
        """Give a signal that came too late to end what is done to whatever took signals before.

        Such as that of a program, which has something else to do next, like another run of a study.
        A program itself has nothing to do next.
        """
        if self.number is not None and not self._left and not self._is_of_program:
            signal.raise_signal(self.number)

    @contextlib.contextmanager
    def leavable(self) -> Iterator[None]:
        """What is done inside can be left, since it changes no state: `Stop` ends it at once."""
        before, self._can_leave = self._can_leave, True
        try:
            self.check()
            yield
        except BaseException as error:
            is_new, self._left = self._raised and not self._left, self._raised
            if is_new and isinstance(error, Exception):  # somebody made an error of `Stop`
                raise Stop(self.number or 0) from error
            raise
        finally:
            self._can_leave = before

    def leavable_together(self) -> contextlib.AbstractContextManager[None]:
        """A context for work that ends for all processes together, so that all can abandon it."""
        return self.leavable()

    def check(self) -> None:
        """See whether a signal came.

        Raises:
            Stop: one did, and did not end what was being done before: it was not raised yet, or was
                swallowed, as all is in __del__.
        """
        if self.number is not None and not self._left:
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
        if number not in AGAIN:
            self.number = self.number or number
        can_raise = self._given_up or (self._can_leave and not self._raised)
        if self._over or not can_raise:
            return
        if AGAIN and (UNDISTURBED.get() or is_loading_extension(frame)):
            try_again()
        elif self._given_up:
            line, self._given_up = self._given_up, ""
            raise KeyboardInterrupt(line)
        else:
            self._leave()

    def _leave(self) -> None:
        """Raise `Stop` in the middle of work that can be abandoned."""
        self.check()

    def _take_lost(self, report: Callable[[Any], object], unraisable: Any) -> None:
        """Raise `Stop` again that was raised where no error can leave, such as in a __del__."""
        if AGAIN and isinstance(unraisable.exc_value, Stop):
            self._raised = False
            try_again()
        else:
            report(unraisable)

    def _watch(self, receiver: socket.socket) -> None:
        """Of the first signal, say so unless it is dealt with at once; give up if asked."""
        number = next_signal(receiver, None)
        if not number:
            return
        self.number = self.number or number
        deadline: float | None = time.monotonic() + self._seconds
        if is_closed(receiver, min(SAME, self._seconds)):
            return
        name = name_of(number)
        if self._reached is not None:
            with contextlib.suppress(Exception):  # the terminal may be gone
                self._say(f"{name}: ending once the state is saved; Ctrl-C (SIGINT) ends it now")
        while True:
            again = next_signal(receiver, deadline, only=signal.SIGINT)
            if again == 0:
                return
            self._give_up(number, self._why(number, again))
            deadline = None
            if is_closed(receiver, SAME):
                return

    def _why(self, number: int, again: int | None) -> str:
        if again is None:
            return f"not finished {self._seconds:g} s after {name_of(number)}"
        return f"second {name_of(again)}" if again == number else f"SIGINT after {name_of(number)}"

    def _give_up(self, number: int, why: str) -> None:
        """End the process, or what the main thread does."""
        whole = "; the last checkpoint is intact" if self._reached is not None else ""
        line = f"{why}: ended without saving{whole}"
        if self._end is not None:
            self._end(128 + number, line)
        else:  # a real signal, which wakes a thread that waits
            self._given_up = line
            signal.pthread_kill(threading.main_thread().ident or 0, number)


def _interrupted(number: int, saved: str) -> Interrupted:
    return Interrupted(number, f"{name_of(number)}: {saved}; the same command continues the run")


def _present() -> Interruption | None:
    """What takes signals at present, where it is an `Interruption`."""
    takers = (getattr(signal.getsignal(number), "__self__", None) for number in SIGNALS)
    return next((taker for taker in takers if isinstance(taker, Interruption)), None)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Lines now and then about what is not over, so that a person sees what a run hangs at."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from jaxrcnn.training.activity import format_duration

AFTER = (60.0, 600.0)
"""Seconds after which there is a line, and then one in each hour."""
EVERY = 3600.0
"""Seconds between two lines later on."""


class Reminder:
    """Calls a function after each of some times, in a thread, until it is cancelled.

    Args:
        remind: to call.
        after: seconds, ascending and less than `EVERY`, whose multiples follow.
    """

    def __init__(self, remind: Callable[[], None], after: Sequence[float] = AFTER) -> None:
        self._remind, self._after = remind, after
        self._began, self._over = time.monotonic(), threading.Event()
        threading.Thread(target=self._run, daemon=True, name="reminder").start()

    def cancel(self) -> None:
        """Call it no more."""
        self._over.set()

    def _run(self) -> None:
        for due in itertools.chain(self._after, itertools.count(EVERY, EVERY)):
            if self._over.wait(self._began + due - time.monotonic()):
                return
            self._remind()


@contextlib.contextmanager
def reminding(what: Callable[[], str], say: Callable[[str], None]) -> Iterator[None]:
    """Say what is not over, with the time that it has taken.

    Args:
        what: the words for it, asked for when they are needed.
        say: takes a line, in another thread.
    """
    began = time.monotonic()
    reminder = Reminder(lambda: say(f"{what()} … {format_duration(time.monotonic() - began)}"))
    try:
        yield
    finally:
        reminder.cancel()

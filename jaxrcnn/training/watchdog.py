"""Notices that a run does not get on, and writes down what its threads are doing."""

import collections
import contextlib
import faulthandler
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.errors import PeerError

TICK = 1.0
"""Seconds between two looks."""
LEAST = 60.0
"""Seconds; a run is not stuck before, however short its steps are."""
FIRST = 600.0
"""Seconds; the same before the usual time of a step is known."""
RECENT = 20
"""Steps whose mean is the usual time of a step."""


class Watchdog:
    """Calls a function once where no step was done for a multiple of their usual time.

    It watches from `with` on, which is where the steps begin: what comes before, such as reading
    the data, may be slow. Time is counted in ticks of a thread, so that a process that was stopped,
    or a machine that slept, is not taken for stuck.

    Args:
        multiple: of the usual time of a step; 0 watches nothing.
        report: called in the thread, with the seconds without a step and the usual seconds of one.
        tick, least, first: in place of `TICK`, `LEAST` and `FIRST`.
    """

    def __init__(
        self,
        multiple: float = 0,
        report: Callable[[float, float | None], None] = lambda *_: None,
        tick: float = TICK,
        least: float = LEAST,
        first: float = FIRST,
    ) -> None:
        self._multiple, self._report = multiple, report
        self._tick, self._least, self._first = tick, least, first
        self._closed = threading.Event()
        self._closed.set()
        self._pauses = 0
        self._running: collections.deque[Any] = collections.deque()
        self._ticks = 0
        self._done: collections.deque[int] = collections.deque(maxlen=RECENT + 1)  # ticks
        self._silence = 0  # ticks since the last step

    def beat(self, loss: Any = None) -> None:
        """Take a step that has begun; it is done when its loss, if it is given, is there."""
        if self._multiple:
            self._running.append(loss)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """What is done inside is no step, and may take as long as it likes."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self._silence = 0

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def __enter__(self) -> Self:
        self._closed.clear()
        if self._multiple:
            threading.Thread(target=self._watch, daemon=True, name="watchdog").start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def usual(self) -> float | None:
        """Seconds of a step, the mean of the recent ones; None before the second."""
        if len(self._done) < 2:
            return None
        return (self._done[-1] - self._done[0]) / (len(self._done) - 1) * self._tick

    def _watch(self) -> None:
        said = False
        while not self._closed.wait(self._tick):
            if self._pauses:
                continue
            self._ticks += 1
            self._silence += 1
            while self._running and _is_done(self._running[0]):
                self._running.popleft()
                self._done.append(self._ticks)
                self._silence, said = 0, False
            limit = self._first if self.usual is None else self._multiple * self.usual
            silence = self._silence * self._tick
            if silence > max(limit, self._least) and not said:
                said = True
                self._report(silence, self.usual)


def _is_done(loss: Any) -> bool:
    """Whether the device has a loss; one that is no jax.Array is there as it is."""
    is_ready = getattr(loss, "is_ready", None)  # jax does not declare it
    return is_ready is None or is_ready()


def report_stuck(workdir: pathlib.Path, silence: float, usual: float | None) -> None:
    """Write what all threads do to WORKDIR/stuck_PID.txt and a line to stderr.

    With several processes this one then ends, with the exit code of a `PeerError`, since whatever
    it waits for, the others wait for it.
    """
    import jax

    from jaxrcnn.training import peers

    path = workdir / f"stuck_{os.getpid()}.txt"
    where = f"{path} says what each thread is doing"
    try:
        with path.open("a", encoding="utf-8") as file:
            faulthandler.dump_traceback(file, all_threads=True)
    except OSError as error:
        where = f"{path} could not be written ({error.strerror})"
    often = "" if usual is None else f" (usually {usual:.3g} s each)"
    line = f"no step for {format_duration(silence)}{often}: {where}"
    print(line, file=sys.stderr, flush=True)
    if jax.process_count() > 1:
        peers.fail(line)
        os._exit(PeerError.exit_code)

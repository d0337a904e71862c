"""How far a run is, and what it does between its steps, for a person to see."""

import collections
import contextlib
import time
from collections.abc import Iterator
from typing import Any, Self

from jaxrcnn.training.activity import Activity, format_duration
from jaxrcnn.training.display import open_display
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.program import Program
from jaxrcnn.training.watchdog import Watchdog

SHORT = 1.0
"""Seconds; an activity that takes less leaves no line behind."""
LOGS = 10
"""The time left follows this many logs, since steps may become faster or slower."""


class Progress:
    """Shows how far a run is, and what it does between its steps.

    In a terminal: a bar, and a line with a running clock for each activity. Elsewhere: a plain line
    for each `log`, and for each activity that took a while.

    Args:
        total_steps: steps of the whole run.
        interruption: may end an activity, since none of them changes the state.
        watchdog: watches the steps, and nothing while there is an activity.
    """

    def __init__(
        self,
        total_steps: int,
        interruption: Interruption | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._total_steps = total_steps
        self._interruption = interruption or Interruption(0)
        self._watchdog = watchdog or Watchdog()
        self._display = open_display(total_steps, self._interruption.leave_pipe)
        self._activities: list[Activity] = []
        self._left_out = 0.0
        self._marks: collections.deque[tuple[int, float]] = collections.deque(maxlen=LOGS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._display.close()

    def clock(self) -> float:
        """Seconds since some moment, without those of activities: they are of training alone."""
        return time.monotonic() - self._left_out

    @contextlib.contextmanager
    def activity(self, doing: str, done: str = "", images: int = 0) -> Iterator[Activity]:
        """Show what is being done; the time of an activity within another is not the other's.

        Args:
            doing: such as "compiling the training step".
            done: the same when it is over, such as "compiled the training step". This stays as a
                line, with the time that it took, unless that is less than a second. By default no
                line stays.
            images: how many it goes through; 0 if it does not go through images.
        """
        activity = Activity(doing, images)
        self._activities.append(activity)
        self._display.begin(activity)
        try:
            with self._interruption.leavable(), self._watchdog.pause():
                yield activity
        finally:
            self._display.end()
            self._activities.pop()
            seconds = activity.seconds
            self._left_out += seconds
            for outer in self._activities:
                outer.leave_out(seconds)
        if done and seconds >= SHORT:
            self.message(f"{done} in {format_duration(seconds)}")

    def compile(self, name: str, program: Program, *args: Any, **options: Any) -> None:
        """Compile a program for arguments of a call, unless that is done, and say so.

        Args:
            name: what is compiled, such as "the training step".
            program: to compile.
            args, options: of the call.
        """
        if not program.is_ready(*args, **options):
            with (
                self.activity(f"compiling {name}", f"compiled {name}"),
                self._interruption.leavable_together(),
            ):
                program.compile(*args, **options)

    def check(self) -> None:
        """See whether a signal asks the run to end, between two pieces of what is being done."""
        self._interruption.check()

    def unwatched(self) -> contextlib.AbstractContextManager[None]:
        """What is done inside is no step, and may wait for a disk that is full for a while."""
        return self._watchdog.pause()

    def follow(self, step: int, loss: Any) -> None:
        """Take a step that has begun: it is done when its loss, an array, is there."""
        self._watchdog.beat(loss)
        self._display.follow(step, loss)

    def log(self, step: int, loss: float, images_per_second: float | None = None) -> None:
        """Show where the run is after `step` steps.

        The time left is known from the second call on; it counts from the first.
        """
        speed = "" if images_per_second is None else f"{images_per_second:.1f} images/s"
        self._display.log(step, f"loss {loss:.3f}", speed, self._time_left(step))

    def message(self, text: str) -> None:
        """Print a line, above what is live in a terminal."""
        self._display.message(text)

    def _time_left(self, step: int) -> str:
        self._marks.append((step, self.clock()))
        (old_step, old_time), (_, now) = self._marks[0], self._marks[-1]
        if step <= old_step or step == self._total_steps:
            return ""
        seconds = (now - old_time) / (step - old_step) * (self._total_steps - step)
        return f"{format_duration(seconds)} left"

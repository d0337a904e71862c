"""How a run's progress looks: live lines in a terminal, plain lines elsewhere."""

import collections
import itertools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxrcnn.training.activity import Activity
from jaxrcnn.training.reminders import AFTER, Reminder
from jaxrcnn.wording import legible
from jaxrcnn.writing import abandon

if TYPE_CHECKING:
    import rich.console
    import rich.progress

LATE = 10.0
"""Seconds; what takes longer gets a line of its own where there is no live one, and more later."""


class Lines:
    """Plain lines, for files, pipes and terminals that cannot redraw.

    Args:
        total_steps: of the run.
        leave: called once if whoever read the lines is gone.
    """

    def __init__(self, total_steps: int, leave: Callable[[], None] = lambda: None) -> None:
        self._total_steps, self._leave = total_steps, leave
        self._activities: list[tuple[Activity, Reminder]] = []

    def begin(self, activity: Activity) -> None:
        """Say now and then what is being done; an inner activity speaks for an outer one."""
        lines = itertools.chain([f"{activity.doing} …"], iter(lambda: f"still {activity}", None))

        def remind() -> None:
            line = next(lines)
            if self._activities[-1:] and self._activities[-1][0] is activity:
                self.message(line)

        self._activities.append((activity, Reminder(remind, (LATE, *AFTER))))

    def end(self) -> None:
        """The activity that was begun last is over."""
        _, reminder = self._activities.pop()
        reminder.cancel()

    def follow(self, step: int, loss: Any) -> None:
        """Nothing: only logged steps have a line."""

    def log(self, step: int, loss: str, speed: str, left: str) -> None:
        """Show where the run is after so many steps."""
        words = (f"step {step}/{self._total_steps}", loss, speed, left)
        self.message("  ".join(filter(None, words)))

    def message(self, text: str) -> None:
        """Print a line."""
        try:
            print(legible(text), flush=True)
        except BrokenPipeError:
            abandon(sys.stdout)
            self._leave()

    def close(self) -> None:
        """Nothing is left to do."""


class Terminal:
    """A bar, from the first step on, and under it a line for what is being done, with a clock.

    In between, while neither is there, others may have live lines of their own.
    """

    def __init__(self, total_steps: int) -> None:
        from rich import console

        self._console = console.Console()
        self._bar = _bar(self._console)
        self._task = self._bar.add_task(
            "training", total=total_steps, visible=False, loss="", speed="", left=""
        )
        self._activities: list[Activity] = []
        self._running: collections.deque[tuple[int, Any]] = collections.deque()
        self._live: Any = None

    def begin(self, activity: Activity) -> None:
        """Show what is being done, as long as it takes."""
        self._activities.append(activity)
        self._start()

    def end(self) -> None:
        """The activity that was begun last is over."""
        self._activities.pop()
        if not self._activities and not self._has_bar:
            self.close()

    def follow(self, step: int, loss: Any) -> None:
        """Move the bar as soon as the step's loss is there."""
        if not self._has_bar:
            self._bar.update(
                self._task, completed=step - 1, loss=f"step {step} is running", visible=True
            )
        self._running.append((step, loss))
        self._start()

    def log(self, step: int, loss: str, speed: str, left: str) -> None:
        """Show where the run is after so many steps."""
        self._bar.update(
            self._task, completed=step, loss=loss, speed=speed, left=left, visible=True
        )
        self._start()

    def message(self, text: str) -> None:
        """Print a line above what is live."""
        self._console.print(legible(text), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bar as it is, and nothing else."""
        if self._live is not None:
            self._live.stop()
        self._live = None

    @property
    def _has_bar(self) -> bool:
        return self._bar.tasks[0].visible

    def _start(self) -> None:
        from rich import live

        if self._live is None:
            self._live = live.Live(console=self._console, get_renderable=self._render)
            self._live.start()
        self._live.transient = not self._has_bar

    def _render(self) -> "rich.console.Group":
        from rich import console, text

        while self._running and self._running[0][1].is_ready():
            self._bar.update(self._task, completed=self._running.popleft()[0])
        lines: list[Any] = [self._bar.get_renderable()] if self._has_bar else []
        lines += [
            text.Text(str(activity), "dim", no_wrap=True, overflow="ellipsis")
            for activity in self._activities[-1:]
        ]
        return console.Group(*lines)


def open_display(total_steps: int, leave: Callable[[], None] = lambda: None) -> Lines | Terminal:
    """What stdout can show; see `Lines`."""
    can_redraw = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return Terminal(total_steps) if can_redraw else Lines(total_steps, leave)


def _bar(console: "rich.console.Console") -> "rich.progress.Progress":
    from rich import progress, table

    def column(text: str, style: str = "none") -> progress.TextColumn:
        return progress.TextColumn(text, style=style, table_column=table.Column(no_wrap=True))

    return progress.Progress(
        column("{task.description}"),
        progress.BarColumn(bar_width=None, table_column=table.Column(ratio=1, min_width=8)),
        column("{task.completed}/{task.total}", "cyan"),
        column("{task.fields[loss]}", "bold"),
        column("{task.fields[speed]}"),
        column("{task.fields[left]}", "green"),
        console=console,
        expand=True,
    )

"""Where a run's numbers go: metrics.jsonl, TensorBoard, and the terminal."""

import collections
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import rich.progress


class MetricsWriter:
    """Appends metrics to ``metrics.jsonl`` and to TensorBoard's events in ``tensorboard/``.

    A line is one JSON object: ``step``, then the metrics; a value that is not finite is written
    as null, since JSON has no word for it. Every line is flushed, so that it survives a crash.

    Args:
        workdir: the run's folder, made where missing.
        resume_step: the step that the run goes on from, 0 for a new one. What the workdir holds of
            later steps is dropped, and so is a last line that a crash tore.
    """

    def __init__(self, workdir: str | os.PathLike[str], resume_step: int) -> None:
        from tensorboardX import SummaryWriter

        folder = pathlib.Path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        if path.exists():
            kept = [row for row in self.read(path) if row["step"] <= resume_step]
            _replace(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The lines of a metrics.jsonl as dicts, without a last line that a crash tore.

        Raises:
            ValueError: a line before the last is not JSON.
        """
        lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                if number < len(lines):
                    raise ValueError(f"{path}, line {number}, is not JSON: {error}") from error
        return rows

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append the metrics of a step; values are whatever ``float`` takes."""
        values = {key: float(value) for key, value in metrics.items()}
        finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
        self._file.write(json.dumps({"step": int(step), **finite}, allow_nan=False) + "\n")
        self._file.flush()
        for key, value in finite.items():
            if value is not None:  # for NaN, tensorboardX prints a warning
                self._events.add_scalar(key, value, step)
        self._events.flush()

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _replace(path: pathlib.Path, text: str) -> None:
    """Rewrite a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class Progress:
    """How far the run is: a bar where stdout is a terminal, else a plain line for each `log`.

    Args:
        total_steps: steps of the whole run.
        first_step: steps that were done before, in the run that is resumed.
    """

    def __init__(self, total_steps: int, first_step: int) -> None:
        self._total_steps = total_steps
        # The time left follows the last few logs only: the first one holds the compile time.
        self._marks = collections.deque([(first_step, time.monotonic())], maxlen=10)
        can_redraw = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._bar = _bar() if can_redraw else None
        if self._bar is not None:
            self._task = self._bar.add_task(
                "training", total=total_steps, completed=first_step, loss="", speed="", left=""
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def log(self, step: int, loss: float, images_per_second: float) -> None:
        """Show where the run is after ``step`` steps."""
        loss_text = f"loss {loss:.3f}"
        speed = f"{images_per_second:.1f} images/s"
        left = f"eta {self._time_left(step)}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, loss=loss_text, speed=speed, left=left)
        else:
            print(f"step {step}/{self._total_steps}  {loss_text}  {speed}  {left}", flush=True)

    def message(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def _time_left(self, step: int) -> str:
        self._marks.append((step, time.monotonic()))
        (old_step, old_time), (_, now) = self._marks[0], self._marks[-1]
        if step <= old_step:
            return "?"
        return format_duration((now - old_time) / (step - old_step) * (self._total_steps - step))


def format_duration(seconds: float) -> str:
    """Seconds in the two largest units: 45s, 3m12s, 1h02m, 2d03h."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"


def _bar() -> "rich.progress.Progress":
    from rich import console, progress, table

    def column(text: str, style: str = "none") -> progress.TextColumn:
        return progress.TextColumn(text, style=style, table_column=table.Column(no_wrap=True))

    return progress.Progress(
        column("{task.description}"),
        progress.BarColumn(bar_width=None, table_column=table.Column(ratio=1, min_width=8)),
        column("{task.completed}/{task.total}", "cyan"),
        column("{task.fields[loss]}", "bold"),
        column("{task.fields[speed]}"),
        column("{task.fields[left]}", "green"),
        console=console.Console(),
        expand=True,
    )

"""Where a run's numbers go: metrics.jsonl, and then its trackers."""

import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Self

from jaxrcnn.config import ConfigError
from jaxrcnn.opening import read_bytes
from jaxrcnn.training.hosts import first_then_others
from jaxrcnn.training.reminders import reminding
from jaxrcnn.training.retries import write_patiently
from jaxrcnn.training.trackers import Trackers
from jaxrcnn.writing import replace_text


class MetricsWriter:
    """Appends metrics to ``metrics.jsonl``, and gives those that are finite to the trackers.

    A line is one JSON object: ``step``, then the metrics; a value that is not finite is written
    as null, since JSON has no word for it. A line is there whole as soon as it is written, or, if
    the disk is full, not at all; it is then written again for a while. Several processes have a
    file each, and all wait for each other.

    Args:
        workdir: the run's folder, made where missing.
        resume_step: the step that the run goes on from, 0 for a new one. What the workdir holds of
            later steps is dropped, and so is a last line that a crash tore.
        trackers: where the metrics go as well; they are closed with the file.
        say: takes a line when the disk is full.

    Raises:
        CheckpointError: the disk stayed full.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        resume_step: int,
        trackers: Trackers | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        folder = pathlib.Path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        if path.exists():
            kept = [row for row in self.read(path) if row["step"] <= resume_step]
            text = "".join(json.dumps(row) + "\n" for row in kept)
            write_patiently(lambda: replace_text(path, text), path, say)
        self._path, self._say = path, say
        self._file = path.open("ab", buffering=0)
        self._trackers = trackers or Trackers()

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The lines of a metrics.jsonl as dicts, without a last line that a crash tore.

        Raises:
            ValueError: a line is no metrics of a step, or one before the last is not JSON.
        """
        lines = read_bytes(path).decode(errors="replace").splitlines()
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(_parse(line))
            except json.JSONDecodeError as error:
                if number < len(lines):
                    raise ValueError(f"{path}, line {number}, is not JSON: {error}") from error
            except (LookupError, TypeError, ValueError, RecursionError) as error:
                what = "is no JSON object of numbers with a step"
                raise ValueError(f"{path}, line {number}, {what}") from error
        return rows

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append the metrics of a step; values are whatever ``float`` takes.

        Raises:
            CheckpointError: the disk stayed full, in all processes that of the first.
        """
        doing = f"writing {self._path.name}"

        def write() -> None:
            with reminding(lambda: f"note: still {doing}, or giving it to trackers", self._say):
                self._write(int(step), metrics)

        first_then_others(write, doing)

    def _write(self, step: int, metrics: Mapping[str, Any]) -> None:
        values = {key: float(value) for key, value in metrics.items()}
        finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
        line = json.dumps({"step": step, **finite}, allow_nan=False) + "\n"
        write_patiently(lambda: self._append(line.encode()), self._path, self._say)
        known = {key: value for key, value in finite.items() if value is not None}
        self._trackers.write(step, known)

    def _append(self, line: bytes) -> None:
        """Append a line, or nothing: the next one would be glued to a part of it."""
        end = self._file.seek(0, os.SEEK_END)
        left = memoryview(line)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(end)
            raise

    def close(self) -> None:
        """Close the file and the trackers."""
        self._file.close()
        self._trackers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(line: str) -> dict[str, Any]:
    """A line of a metrics.jsonl: numbers and nulls by their names, and the step."""
    row = json.loads(line)
    if type(row["step"]) is not int:
        raise TypeError("no step")
    if not all(value is None or type(value) in (int, float) for value in row.values()):
        raise TypeError("not a number")
    return row


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; none where the run wrote none.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return MetricsWriter.read(path) if path.exists() else []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error

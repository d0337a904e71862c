"""Where a run's numbers go: metrics.jsonl and TensorBoard."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Self


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

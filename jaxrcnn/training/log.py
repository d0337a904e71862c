"""The metrics of training steps, as lines of means in a file and for a person."""

import math
from collections.abc import Callable, Mapping

import jax

from jaxrcnn.config import Config
from jaxrcnn.training.diagnostics import PREFIX
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.finite import most_skipped
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.skipped import (
    describe_skipped,
    describe_stop,
    means_of,
    number_skipped,
    stopping_step,
)
from jaxrcnn.types import Array


class Log:
    """Metrics since the last line: kept on the device, so that logging does not hold up steps.

    Args:
        config: of the run.
        writer: where the means go.
        progress: where a person sees them.
        name_image: the name of an image, by its place in the data set.
    """

    def __init__(
        self,
        config: Config,
        writer: MetricsWriter,
        progress: Progress,
        name_image: Callable[[int], str] = str,
    ) -> None:
        self._batch_size = config.train.batch_size
        self._most_skipped = most_skipped(config)
        self._counts_skipped = config.train.on_nonfinite == "skip"
        self._writer = writer
        self.name_image = name_image
        self.progress = progress
        self.restart()

    def restart(self) -> None:
        """Leave the time until now out of images_per_second."""
        self._pending: list[Mapping[str, Array | float]] = []
        self._padded: list[float] = []
        self._began = self.progress.clock()

    def add(self, metrics: Mapping[str, Array | float], padded: float | None = None) -> None:
        """Take the metrics of one step; diagnostics among them get a line of their own.

        Args:
            metrics: on the device.
            padded: share of the batch that is padding.
        """
        self._pending.append(metrics)
        if padded is not None:
            self._padded.append(padded)

    def show(self, step: int) -> None:
        """Show the loss of the step that was added last, before its line is due."""
        self.progress.log(step, float(self._pending[-1]["loss"]))

    def flush(self, step: int) -> None:
        """Write the means over the steps since the last line, without those that were left out.

        Raises:
            NonFiniteLossError: names the step with which training stops.
        """
        rows = jax.device_get(self._pending)
        if not rows:
            return
        seconds = self.progress.clock() - self._began
        numbered = list(enumerate(rows, step - len(rows) + 1))
        for number, row in numbered:
            measured = {k: x for k, x in row.items() if k.startswith(PREFIX)}
            if measured:
                self._write(number, measured)
        bad = stopping_step(numbered, self._most_skipped)
        means = {f"train/{name}": x for name, x in means_of(rows, with_skipped=bool(bad)).items()}
        if self._counts_skipped:
            means["train/skipped"] = number_skipped(rows)
        means["train/images_per_second"] = self._batch_size * len(rows) / seconds
        if self._padded:
            means["data/padded_share"] = sum(self._padded) / len(self._padded)
        self._write(step, means)
        loss = means.get("train/loss", math.nan)
        self.progress.log(step, loss, means["train/images_per_second"])
        if bad:
            raise NonFiniteLossError(bad.step, describe_stop(bad, self.name_image))
        for line in describe_skipped(numbered, self.name_image):
            self.progress.message(line)
        self.restart()

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        with self.progress.unwatched():  # the disk may be full for a while, here or elsewhere
            self._writer.write(step, metrics)

"""What was measured, as tables for a person and as one object for a JSON file."""

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxrcnn import __version__
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.timing import Timing
from jaxrcnn.runtime.machine import cores, processor_name
from jaxrcnn.training.columns import aligned

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


class Section(NamedTuple):
    """One table."""

    title: str
    rows: Sequence[Sequence[str]]  # the head first
    numbers: Mapping[str, Any]  # the same for a JSON file

    def lines(self) -> list[str]:
        """The table in lines."""
        return ["", self.title, *("  " + line for line in aligned(self.rows))]


def environment() -> dict[str, Any]:
    """Date, device and versions."""
    device = jax.devices()[0]
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": {
            "backend": device.platform,
            "kind": device.device_kind,
            "number": jax.local_device_count(),
            "host": f"{processor_name()}, {cores()} cores",
        },
        "versions": {
            "python": platform.python_version(),
            "jaxrcnn": __version__,
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    }


def milliseconds(timing: Timing) -> tuple[str, str]:
    """Median and quartiles for a table."""
    low, high = (1e3 * x for x in timing.quartiles)
    return f"{1e3 * timing.median:.4g}", f"{low:.4g} .. {high:.4g}"


def speeds(
    shape: Shape, timings: Mapping[str, Timing]
) -> tuple[list[tuple[str, ...]], dict[str, Any]]:
    """How fast each is, by its name: the rows of a table with their head, and the numbers."""
    rows: list[tuple[str, ...]] = [("", "images/s", "ms", "half of the steps")]
    numbers: dict[str, Any] = {}
    for side, timing in timings.items():
        speed = shape.images / timing.median
        rows.append((side, f"{speed:.4g}", *milliseconds(timing)))
        numbers[side] = {"images_per_second": speed, **timing.numbers()}
    return rows, numbers


def ratio(ours: Timing, theirs: Timing) -> str:
    """Their time over ours: how many times as fast we are."""
    return f"{theirs.median / ours.median:.2f} x"


def mebibytes(number: float | None) -> str:
    """Memory for a table; a dash where it is not known."""
    return "-" if number is None else f"{number / 2**20:.0f}"

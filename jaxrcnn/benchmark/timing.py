"""Seconds of repeated calls, each waited for."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

TURNS = 4
"""How often each side of a comparison gets its turn."""

Runner = Callable[[int], Sequence[float]]
"""Makes so many steps and gives the seconds of each."""


class Timing(NamedTuple):
    """Seconds of every step that was timed."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds; half of the steps took longer."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Seconds; half of the steps lie between them."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def numbers(self) -> dict[str, float | int]:
        """For a JSON file, in milliseconds."""
        low, high = self.quartiles
        return {
            "median_ms": 1e3 * self.median,
            "quartile_low_ms": 1e3 * low,
            "quartile_high_ms": 1e3 * high,
            "steps": len(self.seconds),
        }


def ratios_by_turn(one: Timing, other: Timing, turns: int = TURNS) -> list[float]:
    """In each turn of `take_turns`, the one's median over the other's, from the smallest."""
    pairs = zip(*(_by_turn(timing, turns) for timing in (one, other)), strict=True)
    return sorted(mine / theirs for mine, theirs in pairs)


def _by_turn(timing: Timing, turns: int) -> list[float]:
    """The median of each turn; all turns have as many steps."""
    steps = len(timing.seconds) // turns
    return [
        statistics.median(timing.seconds[turn * steps : (turn + 1) * steps])
        for turn in range(turns)
    ]


def time_calls(call: Callable[[], Any], number: int) -> list[float]:
    """Seconds of each of so many calls, up to when the device has done what it was given."""
    seconds = []
    for _ in range(number):
        began = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    return seconds


LONGEST = 30.0
"""Seconds that the steps of a side may take: a program that is far slower than expected must not
take the time of all that comes after it."""


def take_turns(sides: Mapping[str, Runner], steps: int, turns: int = TURNS) -> dict[str, Timing]:
    """Time several sides in turn, A B A B, so that a slow minute of the machine meets them all.

    Args:
        sides: by name. Each first makes a step that does not count.
        steps: of each side at least, shared out over the turns; fewer where `LONGEST` is too short
            for them.
        turns: of each side.
    """
    fitting = {name: min(steps, LONGEST / run(1)[0]) for name, run in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, run in sides.items():
            seconds[name] += run(max(1, math.ceil(fitting[name] / turns)))
    return {name: Timing(tuple(taken)) for name, taken in seconds.items()}

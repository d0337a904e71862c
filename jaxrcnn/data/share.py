"""What one of several processes does of a batch; one that is alone does all of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

Pool = Callable[[Collection[str]], Collection[str]]
"""Takes all lines of this process so far, and returns those of all processes so far."""


def _alone(value: Any) -> list[Any]:
    return [value]


def _own_lines() -> Pool:
    return lambda lines: lines


class Share(NamedTuple):
    """Which images of a batch a process makes, and how it learns what the others found."""

    rows: Callable[[int], Sequence[int]] = range
    """The places that it makes in a batch of so many images."""
    gather: Callable[[Any], list[Any]] = _alone
    """The values of all processes for that of this one; all of them call it."""
    pool: Callable[[], Pool] = _own_lines
    """Creates a pool of lines; all processes call it. A pool does not wait for other processes."""


ALONE = Share()

"""What one of several processes does of a batch; one that is alone does all of it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


def _alone(value: Any) -> list[Any]:
    return [value]


class Share(NamedTuple):
    """Which images of a batch a process makes, and how it learns what the others found."""

    rows: Callable[[int], Sequence[int]] = range
    """The places that it makes in a batch of so many images."""
    gather: Callable[[Any], list[Any]] = _alone
    """The values of all processes for that of this one; all of them call it."""


ALONE = Share()

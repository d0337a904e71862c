"""What is derived for a run, as a person reads it."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """A field that was derived, and why it has its value."""

    name: str
    value: Any
    reason: str


class Remark(NamedTuple):
    """Something to know about the data that sets no field."""

    text: str


Found = Setting | Remark


def describe(found: Sequence[Found]) -> list[str]:
    """What was derived, as the lines of a table."""
    settings = [each for each in found if isinstance(each, Setting)]
    names = max((len(each.name) for each in settings), default=0)
    values = max((len(_shown(each.value)) for each in settings), default=0)
    return [
        f"  {each.name:{names}}  {_shown(each.value):{values}}  {each.reason}"
        if isinstance(each, Setting)
        else f"  {each.text}"
        for each in found
    ]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_shown, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)

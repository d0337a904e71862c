"""What is derived for a run, as a person reads it."""

import re
import shlex
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

WIDEST = 40
"""Characters that a column of values is wide at most; longer values push their reason aside."""
PLAIN = re.compile(r"[\w@%+=:,./-]+")
"""Text that a shell takes as it is."""
MOST = 20
"""Values of a field that are shown."""


def describe(found: Sequence[Found]) -> list[str]:
    """What was derived, as the lines of a table."""
    settings = [each for each in found if isinstance(each, Setting)]
    names = max((len(each.name) for each in settings), default=0)
    values = max((len(_shown(each.value)) for each in settings), default=0)
    values = min(values, WIDEST)
    return [
        f"  {each.name:{names}}  {_shown(each.value):{values}}  {each.reason}"
        if isinstance(each, Setting)
        else f"  {each.text}"
        for each in found
    ]


def _shown(value: Any) -> str:
    """A value as the command line takes it, but for the end of a long one."""
    if isinstance(value, tuple):
        more = [f"... ({len(value)} in all)"] if len(value) > MOST else []
        return " ".join([*map(_shown, value[:MOST]), *more]) or "none"
    if isinstance(value, str):
        text = " ".join(value.split())
        return text if PLAIN.fullmatch(text) else shlex.quote(text)
    return f"{value:g}" if isinstance(value, float) else str(value)

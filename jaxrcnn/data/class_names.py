"""Names of classes that a person takes for the same."""

import re
from collections.abc import Sequence

BLANKS = re.compile(r"[\s_-]+")


def spelling(name: str) -> str:
    """What names that differ only in case or blanks have in common; - and _ count as blanks."""
    return BLANKS.sub("", name).casefold() or name


def alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that differ only in case or blanks from an earlier one, each after the first such."""
    first: dict[str, str] = {}
    unique = dict.fromkeys(names)
    return [
        (one, name) for name in unique if (one := first.setdefault(spelling(name), name)) != name
    ]

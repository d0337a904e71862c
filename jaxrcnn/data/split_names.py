"""The names under which folders and files hold the parts of a data set."""

import re
from collections.abc import Iterable

from jaxrcnn.data.errors import fault, quoted

ALL = "all"
"""The name of a set that is not divided."""

SYNONYMS = (
    ("train", "training"),
    ("val", "valid", "validation", "validate", "dev"),
    ("test", "testing"),
)


YEAR = re.compile(r"[-_]?[0-9]+$")


def is_split(name: str) -> bool:
    """Whether a folder, file or column is named for a split: train, valid, test2017."""
    return any(YEAR.sub("", name.lower()) in names for names in SYNONYMS)


def same_split(name: str, other: str) -> bool:
    """Whether two names mean one split: in letters of any case, "valid" is "val"."""
    name, other = name.lower(), other.lower()
    return name == other or any(name in names and other in names for names in SYNONYMS)


def choose_split(split: str, found: Iterable[str], file: str) -> str:
    """The name among those found that means this split, the very name if it is there.

    Raises:
        DataError: none does, or several do; lists those that are there.
    """
    names = list(found)
    if split in names:
        return split
    same = [name for name in names if same_split(name, split)]
    if len(same) == 1:
        return same[0]
    what = f"the splits are {quoted(names)}" if names else "there are no splits"
    remedy = "name them in data.train_splits and data.eval_split"
    raise fault(file, f"split {split}", what, remedy)

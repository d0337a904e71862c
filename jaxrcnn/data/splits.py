"""The names of splits: what they mean, and which of a folder's are trained on and evaluated."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import fault, quoted

ALL = "all"
"""Name of the only split of a folder where it has no name."""

Role = Literal["train", "trainval", "val", "test", ""]

WORDS: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "trainval": "trainval",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
YEAR = re.compile(r"[-_]?[0-9]+$")


class Splits(NamedTuple):
    """What to train on, to evaluate on and to test on; "" where there is no such split."""

    train: tuple[str, ...]
    eval: str
    test: str


def role_of(name: str) -> Role:
    """What a split is for by its name, such as "valid", "train2017" or "VOC2007/test"."""
    words = re.split(r"[^a-z]+", name.lower())
    roles: set[Role] = {WORDS[word] for word in words if word in WORDS}
    return next(iter(roles)) if len(roles) == 1 else ""


def is_split(name: str) -> bool:
    """Whether a name says nothing but a split, perhaps with a year: "train", "VALID", "test2017".

    For what may also have another meaning: keys of a file, values of a column, folders.
    """
    return YEAR.sub("", name.lower()) in WORDS


def choose_splits(names: Collection[str]) -> Splits:
    """Choose among the names of a folder's splits.

    "train" is trained on, or "trainval" where there is none; then "val" is part of it, and is not
    evaluated on. A single split is trained on, unless it is for validation or for testing.

    Raises:
        ConfigError: the choice is not clear.
    """
    train, trainval, val, test = (
        _only(names, role) for role in ("train", "trainval", "val", "test")
    )
    if train:
        return Splits((train,), val, test)
    if trainval:
        return Splits((trainval,), "", test)
    if len(names) == 1 and not (val or test):
        return Splits(tuple(names), "", "")
    if len(names) == 1:
        what = "validation" if val else "testing"
        raise ConfigError(
            f"the only split, '{val or test}', is named for {what}: to train on it nevertheless, "
            f"give --config.data.train_splits {val or test}"
        )
    raise ConfigError(
        f"it is not clear which split to train on (the splits are {quoted(names)}): give "
        "--config.data.train_splits, and --config.data.eval_split unless images should be held out"
    )


def _only(names: Collection[str], role: Role) -> str:
    """The name of the split with a role: the word itself, or the only one that contains it."""
    found = [name for name in names if role_of(name) == role]
    exact = [name for word in WORDS for name in found if name.lower() == word]
    if exact or len(found) < 2:
        return next(iter(exact or found), "")
    field = {"val": "eval_split", "test": "test_split"}.get(role, "train_splits")
    raise ConfigError(f"{quoted(found)} could all be the {role} split: give --config.data.{field}")


def matching(split: str, found: Iterable[str]) -> list[str]:
    """The names that mean a split: the very name, or else all others that do.

    Upper and lower case do not matter, and "val", "valid" and "validation" mean the same.
    """
    names = list(found)
    return [split] if split in names else [x for x in names if _meaning(x) == _meaning(split)]


def _meaning(name: str) -> str:
    """A name in lower case with one word for all that mean the same; "voc2007/val"."""
    folder, slash, word = name.lower().rpartition("/")
    return folder + slash + WORDS.get(word, word)


def choose_split(split: str, found: Mapping[str, str], file: str) -> str:
    """The name that a split has among those found; see `matching`.

    Args:
        split: as a config names it.
        found: the places of the splits that are there, by their names.
        file: file or folder that has them, for the error.

    Raises:
        DataError: none has the name, or several do; lists those that are there.
    """
    same = matching(split, found)
    if len(same) == 1:
        return same[0]
    names = list(found)
    remedy = "name one of them in data.train_splits, data.eval_split or data.test_split"
    if same:
        raise fault(file, f"split {split}", f"{quoted(same)} could all be this split", remedy)
    if not names:
        raise fault(file, f"split {split}", "there are no splits", "check data.root")
    places = [f"{name} ({place})" for name, place in found.items()]
    more = [f"{len(places) - 10} more"] if len(places) > 10 else []
    what = f"there is no such split; the folder has {', '.join(places[:10] + more)}"
    if len(names) == 1:
        remedy = f"give --config.data.train_splits {names[0]}"
    raise fault(file, f"split {split}", what, remedy)

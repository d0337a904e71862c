"""Which of a folder's splits are for training, for validation and for testing."""

import re
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError, fault, quoted

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
    "dev": "val",
    "test": "test",
    "testing": "test",
}


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
        f"which split to train on is not clear, there are {quoted(names)}: give "
        "--config.data.train_splits, and --config.data.eval_split unless images are to be held out"
    )


def _only(names: Collection[str], role: Role) -> str:
    """The name of the split with a role: the word itself, or the only one that contains it."""
    found = [name for name in names if role_of(name) == role]
    exact = [name for word in WORDS for name in found if name.lower() == word]
    if exact or len(found) < 2:
        return next(iter(exact or found), "")
    field = {"val": "eval_split", "test": "test_split"}.get(role, "train_splits")
    raise ConfigError(f"{quoted(found)} could all be the {role} split: give --config.data.{field}")


def missing_split(root: str, split: str, found: Mapping[str, str]) -> DataError:
    """The error for a split that a folder does not have; it lists those that it has."""
    places = [f"{name} ({place})" for name, place in found.items()]
    more = [f"{len(places) - 10} more"] if len(places) > 10 else []
    what = f"there is no such split, the folder holds {', '.join(places[:10] + more)}"
    names = list(found)
    remedy = (
        f"give --config.data.train_splits {names[0]}"
        if len(names) == 1
        else "name one of them in data.train_splits, data.eval_split or data.test_split"
    )
    return fault(root, f"split {split}", what, remedy)

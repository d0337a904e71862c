"""Labels for the categories of COCO's json files, which share names and not always ids."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.data.coco_tables import Split
from jaxrcnn.data.errors import fault, quoted

FILLER = re.compile(r"N/A \d+")
"""Names of classes that a detector has and no data: torchvision's have one for each id that COCO
never gave out (`jaxrcnn.interop.coco_classes`)."""


class Categories(NamedTuple):
    """The classes of a data set, and how the categories of its splits become labels."""

    names: tuple[str, ...]  # that of label 1 first
    ids: tuple[int, ...]  # category id of each label; less than 0 where no split lists the name
    labels: tuple[dict[int, int], ...]  # for each split: label 1..K by category id
    listed: tuple[str, ...]  # names of all splits, also those that are no classes
    notes: tuple[str, ...]


def number_categories(splits: Sequence[Split], classes: Sequence[str]) -> Categories:
    """Number the categories of all splits by their names.

    Args:
        splits: of the data set.
        classes: names in the order of their labels; empty takes the categories of the first split
            by ascending id, then what the others add.

    Raises:
        DataError: no split lists any of the classes, or any category at all.
    """
    ids: dict[str, int] = {}
    for split in splits:
        for key in sorted(split.categories):
            ids.setdefault(split.categories[key], key)
    if not ids:
        raise fault(splits[0].file, "categories", "there are none", "name those of the boxes")
    names = tuple(classes) or tuple(ids)
    if not any(name in ids for name in names):
        what = f"no category is named {quoted(names)} (the categories are {quoted(ids)})"
        remedy = "correct data.classes or the file"
        raise fault(splits[0].file, "categories", what, remedy)
    notes = []
    absent = [name for name in names if name not in ids and not FILLER.fullmatch(name)]
    if absent:
        notes.append(f"no category is named {quoted(absent)}: classes without objects")
    if any(split.categories != splits[0].categories for split in splits):
        notes.append("the splits list different categories, which are matched by name")
    known = [ids[name] for name in names if name in ids]
    if len(set(known)) < len(known):
        notes.append("an id means different categories in the splits: ids are numbered from 1")
        ids = {name: label for label, name in enumerate(names, 1) if name in ids}
    labels = {name: label for label, name in enumerate(names, 1)}
    return Categories(
        names,
        tuple(ids.get(name, -label) for name, label in labels.items()),
        tuple(
            {key: labels[name] for key, name in split.categories.items() if name in labels}
            for split in splits
        ),
        tuple(dict.fromkeys(name for split in splits for name in split.categories.values())),
        tuple(notes),
    )

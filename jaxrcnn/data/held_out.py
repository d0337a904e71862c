"""Which training images are held out for evaluation."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_names import stem_of
from jaxrcnn.data.records import Dataset, Record

HELD_OUT_STREAM = 3
"""Second word of the seed of the choice; other draws from a seed have another."""
COPY = re.compile(r"\.rf\.[0-9A-Za-z]{8,}$")
"""What Roboflow adds to the name of an image, for each of its augmented copies."""

TRAIN, VAL = 0, 1


class Halves(NamedTuple):
    """Places in a data set, in order."""

    train: list[int]
    val: list[int]


def hold_out(dataset: Dataset, share: float, seed: int) -> Halves:
    """Divide a data set, so that every class has about the same share of its images held out.

    Iterative stratification (Sechidis et al. 2011): the class with the fewest images left is
    divided first, and images without objects count as a class. A class of two images or more has
    one on either side where that is possible. Augmented copies of one image, as Roboflow names
    them, stay together, and so do images of the same name, size and boxes.

    Args:
        dataset: the images; their order does not matter.
        share: of them to hold out, between 0 and 1.
        seed: of the choice among images that are alike.

    Raises:
        DataError: there is only one image.
    """
    groups: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for place, record in enumerate(dataset.records):
        groups[_identity(record)].append(place)
    if not groups:
        raise DataError(f"{dataset.name}: there are no images; check data.root and the splits")
    if len(groups) < 2:
        raise DataError(
            f"{dataset.name}: no image can be held out for evaluation, because there are not two "
            "different ones: name a split in data.eval_split"
        )
    keys = sorted(groups)
    order = np.random.default_rng((seed, HELD_OUT_STREAM)).permutation(len(keys))
    units = [groups[keys[place]] for place in order]
    sides = _divide([_classes_of(dataset, unit) for unit in units], list(map(len, units)), share)
    train, val = (
        sorted(
            place
            for unit, side in zip(units, sides, strict=True)
            if side == wanted
            for place in unit
        )
        for wanted in (TRAIN, VAL)
    )
    return Halves(train, val)


def original_name(name: str) -> str:
    """The name of the image that a copy was made of, or else of the image itself.

    Without folders and ending: not every format has them.
    """
    return COPY.sub("", stem_of(name))


def _identity(record: Record) -> tuple[str, bytes]:
    """What is the same for copies of one image, and different for any other image.

    A name alone is not enough: where each image has a folder of its own, all have one name.
    """
    original, own = original_name(record.name), stem_of(record.name)
    if original != own:
        return original, b""
    if not len(record.boxes):
        return own, record.name.encode(errors="surrogatepass")
    size = f"{record.width}x{record.height} "
    return own, size.encode() + record.boxes.tobytes()


def note_on_copies(dataset: Dataset) -> list[str]:
    """A line where there are several copies of one image."""
    found = Counter(map(_identity, dataset.records))
    copies = sum(count for count in found.values() if count > 1)
    return (
        [f"{copies} images are copies of one another and are kept on the same side"]
        if copies
        else []
    )


def _classes_of(dataset: Dataset, places: Sequence[int]) -> frozenset[str]:
    """Names of what is to be found on some images; "" stands for images without objects."""
    records = [dataset.records[place] for place in places]
    labels = {label for record in records for label in record.labels[~record.ignore]}
    return frozenset(dataset.class_names[label - 1] for label in labels) or frozenset([""])


def _divide(classes: list[frozenset[str]], sizes: list[int], share: float) -> list[int]:
    """The side of each unit.

    Args:
        classes: of each unit.
        sizes: images of each unit.
        share: of the images that goes to the side VAL.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for unit, found in enumerate(classes):
        for label in sorted(found):
            members[label].append(unit)
    wanted = {label: _wanted([sizes[x] for x in units], share) for label, units in members.items()}
    overall = _wanted(sizes, share)
    sides: dict[int, int] = {}
    left = {label: len(units) for label, units in members.items()}
    while left:
        rarest = min(left, key=lambda label: (left[label], label))
        for unit in members[rarest]:
            if unit in sides:
                continue
            here = wanted[rarest]
            side = max((TRAIN, VAL), key=lambda side: (here[side], overall[side]))
            sides[unit] = side
            overall[side] -= sizes[unit]
            for label in classes[unit]:
                wanted[label][side] -= sizes[unit]
                left[label] -= 1
        left = {label: count for label, count in left.items() if count}
    found = [sides[unit] for unit in range(len(classes))]
    for units in members.values():
        _repair(units, found, classes)
    for side in (TRAIN, VAL):
        if side not in found:  # no class has two units
            found[0] = side
    return found


def _wanted(sizes: list[int], share: float) -> list[float]:
    """How many images should be on either side: at least those of one unit, if there are two."""
    total = sum(sizes)
    if len(sizes) < 2:
        return [total * (1 - share), total * share]
    val = min(max(total * share, min(sizes)), total - min(sizes))
    return [total - val, val]


def _repair(units: list[int], sides: list[int], classes: list[frozenset[str]]) -> None:
    """Move a unit of a class that is on one side alone, where no class loses its last there."""
    missing = {TRAIN, VAL} - {sides[unit] for unit in units}
    if len(units) < 2 or not missing:
        return
    (side,) = missing
    there = Counter(
        label for unit, found in enumerate(classes) if sides[unit] != side for label in found
    )
    free = [unit for unit in units if all(there[label] > 1 for label in classes[unit])]
    if free:
        sides[free[0]] = side

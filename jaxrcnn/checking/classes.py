"""Names of classes that do not go together."""

from collections.abc import Sequence

import numpy as np

from jaxrcnn.checking.splits import Split
from jaxrcnn.data.class_names import alike, spelling
from jaxrcnn.data.errors import Fault
from jaxrcnn.data.joining import name_classes
from jaxrcnn.data.records import Dataset
from jaxrcnn.wording import counted


def count_boxes(dataset: Dataset) -> dict[str, int]:
    """The number of boxes of each class that has any."""
    numbers = np.bincount(dataset.columns.labels, minlength=len(dataset.class_names) + 1)[1:]
    names = zip(dataset.class_names, numbers.tolist(), strict=True)
    return {name: number for name, number in names if number}


def largest_classes(dataset: Dataset, most: int) -> dict[str, int]:
    """The same for the classes that have the most boxes, at most so many, by that number."""
    counts = count_boxes(dataset)
    names = sorted(counts, key=counts.__getitem__, reverse=True)
    return {name: counts[name] for name in names[:most]}


def check_classes(splits: Sequence[Split]) -> list[Fault]:
    """Classes whose names are alike, and those of other splits that training has no boxes of."""
    there = [split for split in splits if split.dataset is not None]
    sets = [split.dataset for split in there if split.dataset is not None]
    return [*_alike(there, name_classes(sets)), *_only_elsewhere(there)]


def _alike(splits: Sequence[Split], names: Sequence[str]) -> list[Fault]:
    faults = []
    for one, other in alike(names):
        file = next(x.file for x in splits if x.dataset and other in x.dataset.class_names)
        what = f"it differs from the class '{one}' only in case or spaces"
        remedy = f"give them one name, in the files or by --config.data.rename '{other}={one}'"
        faults.append(Fault("classes-alike", file, f"class '{other}'", what, remedy))
    return faults


def _only_elsewhere(splits: Sequence[Split]) -> list[Fault]:
    """Classes with boxes elsewhere and none in training.

    A class that training lists is left out if images there are: they may have held its boxes.
    """
    train = [split.dataset for split in splits if split.role == "train" and split.dataset]
    names = [name for dataset in train for name in count_boxes(dataset)]
    if any(dataset.lost_images for dataset in train):
        names += [name for dataset in train for name in dataset.source_classes]
    known = {spelling(name) for name in names}
    faults = []
    for split in splits:
        if not train or split.role == "train" or split.dataset is None:
            continue
        for name, number in count_boxes(split.dataset).items():
            if spelling(name) not in known:
                boxes = counted(number, "box", "boxes")
                what = f"it has {boxes} in split {split.name}, but none in the training set"
                record = f"class '{name}'"
                faults.append(Fault("class-not-in-training", split.file, record, what, ""))
    return faults

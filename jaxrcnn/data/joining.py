"""Several data sets as one, with classes that are matched by their names."""

import dataclasses
import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.class_names import alike
from jaxrcnn.data.columns import Records
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.wording import counted


def parse_renames(pairs: Iterable[str]) -> dict[str, str]:
    """New names of classes by their old ones, from texts OLD=NEW; OLD may contain "=" too."""
    split = [pair.rpartition("=") for pair in pairs]
    return {old.strip(): new.strip() for old, _, new in split}


def rename(dataset: Dataset, renames: Mapping[str, str]) -> Dataset:
    """The data set with other names for its classes; several that get one name become one."""
    names = [renames.get(name, name) for name in dataset.class_names]
    unique = tuple(dict.fromkeys(names))
    labels = np.array([0, *(unique.index(name) + 1 for name in names)], np.int32)
    listed = tuple(dict.fromkeys(renames.get(name, name) for name in dataset.source_classes))
    return _with_labels(dataset, labels, unique, listed)


def relabel(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """The data set with its labels numbered like `class_names`, which become its classes.

    Boxes of other classes are left out and counted. Category ids are then the labels.
    """
    places = {name: label for label, name in enumerate(class_names, 1)}
    labels = np.array([0, *(places.get(name, 0) for name in dataset.class_names)], np.int32)
    return _with_labels(dataset, labels, tuple(class_names), dataset.source_classes)


def _with_labels(
    dataset: Dataset, labels: np.ndarray, names: tuple[str, ...], listed: tuple[str, ...]
) -> Dataset:
    """The data set with new labels, (K + 1,) by the old ones; boxes that get 0 are left out."""
    before = dataset.columns
    new = labels[before.labels]
    after = before.replace(labels=new).keep_boxes(new > 0)
    return dataclasses.replace(
        dataset,
        records=after,
        class_names=names,
        category_ids=(),
        other_boxes=dataset.other_boxes + len(before.boxes) - len(after.boxes),
        source_classes=listed,
    )


def name_classes(datasets: Iterable[Dataset]) -> tuple[str, ...]:
    """The classes of all data sets, each name once, in order."""
    return tuple(dict.fromkeys(name for each in datasets for name in each.class_names))


class Joined(NamedTuple):
    """Reads the images of joined data sets, each as its own data set does."""

    datasets: tuple[Dataset, ...]
    first_ids: tuple[int, ...]  # image_id of the first image of each

    def __call__(self, record: Record) -> np.ndarray:
        """The image, (H, W, 3) uint8 RGB."""
        place = bisect_right(self.first_ids, record.image_id) - 1
        return self.datasets[place].read_image(record.image_id - self.first_ids[place])


def join(datasets: Sequence[Dataset], class_names: Sequence[str]) -> Dataset:
    """One data set with the images of all in order, numbered from 1, and with these classes.

    Args:
        datasets: without transforms; their classes are matched by name.
        class_names: in the order of their labels; boxes of others are left out and counted.

    Raises:
        ValueError: a data set has transforms, which belong to the joined one.
    """
    if any(dataset.transforms for dataset in datasets):
        raise ValueError("a data set with transforms cannot be joined: add them to the result")
    sets = [relabel(dataset, class_names) for dataset in datasets]
    starts = itertools.accumulate((len(dataset) for dataset in sets[:-1]), initial=1)
    records = Records.concatenated([dataset.columns for dataset in sets])
    sizes = ", ".join(f"{counted(len(dataset), 'image')} of {dataset.name}" for dataset in sets)
    return Dataset(
        name=" + ".join(dataset.name for dataset in sets),
        records=records.replace(image_ids=np.arange(1, len(records) + 1)),
        class_names=tuple(class_names),
        reader=Joined(tuple(datasets), tuple(starts)),
        skipped=tuple(line for dataset in sets for line in dataset.skipped),
        faults=tuple(fault for dataset in sets for fault in dataset.faults),
        lost_images=sum(dataset.lost_images for dataset in sets),
        clipped=sum(dataset.clipped for dataset in sets),
        other_boxes=sum(dataset.other_boxes for dataset in sets),
        empty_boxes=sum(dataset.empty_boxes for dataset in sets),
        empty=sum(dataset.empty for dataset in sets),
        notes=(
            f"joined from {sizes}",
            *(f"{dataset.name}: {note}" for dataset in sets for note in dataset.notes),
            *_alike(name_classes(datasets)),
        ),
        source_classes=tuple(
            dict.fromkeys(name for dataset in sets for name in dataset.source_classes)
        ),
    )


def _alike(names: Sequence[str]) -> list[str]:
    """A note for each pair of names that differ only in case or blanks."""
    return [
        f"the classes '{one}' and '{other}' differ only in case or spaces: "
        f"--config.data.rename '{other}={one}' merges them"
        for one, other in alike(names)
    ]

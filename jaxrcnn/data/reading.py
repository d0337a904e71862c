"""The splits of one or several folders, read and made one data set."""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from jaxrcnn.config import ConfigError, DataConfig
from jaxrcnn.data.coco_categories import FILLER
from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.finding import explain
from jaxrcnn.data.formats import FORMATS
from jaxrcnn.data.joining import join, name_classes, parse_renames, relabel, rename
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.data.sources import Source
from jaxrcnn.opening import read_timeout

Part = tuple[Source, Sequence[str]]
"""A folder, and the splits of it that are read."""


def read_parts(data: DataConfig, parts: Sequence[Part], classes: Sequence[str]) -> list[Dataset]:
    """The data sets of some splits of some folders, each with its own labels; see `unite`.

    Args:
        data: where they are, and how they are read.
        parts: in this order.
        classes: in the order of their labels; empty takes all. With several folders or renamed
            classes all are read, since it is not known before which are there.

    Raises:
        DataError: something cannot be read.
    """
    if _is_plain(data):
        return [read_source(data, *part, classes) for part in parts]
    found = [read_source(data, *part, ()) for part in parts]
    if len(data.roots) > 1:
        names = name_roots(data.roots)
        found = [
            _within(names[source.place], dataset)
            for (source, _), dataset in zip(parts, found, strict=True)
        ]
    return found


def read_training(data: DataConfig, parts: Sequence[Part], classes: Sequence[str]) -> list[Dataset]:
    """The same for the training splits: data.rename and the classes have to be in one of them.

    Raises:
        ConfigError: a class that is named is in none.
        DataError: something cannot be read.
    """
    sets = read_parts(data, parts, classes)
    if _is_plain(data):
        return sets
    renames = parse_renames(data.rename)
    _check_names("data.rename", renames, name_classes(sets))
    renamed = [rename(dataset, renames) for dataset in sets]
    _check_names("data.classes", classes, name_classes(renamed))
    return sets


def unite(data: DataConfig, sets: Sequence[Dataset], classes: Sequence[str]) -> Dataset:
    """One data set of several, with classes renamed as data.rename says, and these classes.

    Args:
        data: of the config.
        sets: see `read_parts`.
        classes: in the order of their labels; empty takes all, in the order of the sets.
    """
    if len(sets) == 1 and _is_plain(data):
        return sets[0]
    renames = parse_renames(data.rename)
    renamed = [rename(dataset, renames) for dataset in sets]
    names = tuple(classes) or name_classes(renamed)
    return join(renamed, names) if len(renamed) > 1 else relabel(renamed[0], names)


def _is_plain(data: DataConfig) -> bool:
    """Whether a reader gives the data set as it is wanted."""
    return len(data.roots) == 1 and not data.rename


def read_source(
    data: DataConfig, source: Source, splits: Sequence[str], classes: Sequence[str]
) -> Dataset:
    """The data set of some splits of one folder, as its reader gives it.

    Args:
        data: how it is read.
        source: the folder.
        splits: of it, in this order.
        classes: in the order of their labels; empty takes all.

    Raises:
        DataError: something cannot be read.
    """
    with read_timeout(data.read_timeout):
        try:
            dataset = FORMATS[source.format].read(data, source.root, splits, classes)
        except DataError as error:
            raise explain(error, source.root, source.format, data.columns) from error
    reader = functools.partial(_read_in_time, dataset.reader, data.read_timeout)
    return dataclasses.replace(dataset, reader=reader)


def _read_in_time(
    reader: Callable[[Record], np.ndarray], seconds: float, record: Record
) -> np.ndarray:
    with read_timeout(seconds):
        return reader(record)


def name_roots(roots: Sequence[str]) -> list[str]:
    """A short name for each folder: its own, with a number where several have the same."""
    names = [os.path.basename(os.path.abspath(root)) for root in roots]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name}-{i}" if name in twice else name for i, name in enumerate(names, 1)]


def _within(name: str, dataset: Dataset) -> Dataset:
    """A data set of one of several folders: the names of its images begin with the folder's."""
    records = dataset.columns.replace(names=[f"{name}/{old}" for old in dataset.columns.names])
    return dataclasses.replace(dataset, name=f"{name}/{dataset.name}", records=records)


def _check_names(field: str, wanted: Sequence[str] | dict[str, str], there: Sequence[str]) -> None:
    """See that all names that a field has are classes, or those that a detector has and no data.

    Raises:
        ConfigError: one is not; lists the names.
    """
    for name in wanted:
        if name not in there and not FILLER.fullmatch(name):
            raise ConfigError(
                f"{field}: no class is named '{name}' (the classes are {quoted(there)})"
            )

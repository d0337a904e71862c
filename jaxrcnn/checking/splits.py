"""The splits that a run reads, each with all that its reader finds wrong."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data.coco_tables import name_image
from jaxrcnn.data.datasets import open_eval_dataset, open_train_dataset
from jaxrcnn.data.errors import INVALID, DataError, Fault
from jaxrcnn.data.formats import FORMATS
from jaxrcnn.data.joining import parse_renames, rename
from jaxrcnn.data.reading import name_roots, read_source
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.data.sources import Source, find_sources
from jaxrcnn.data.splits import matching

Role = Literal["train", "eval", "test"]


class Split(NamedTuple):
    """One split of one folder."""

    name: str
    role: Role
    format: str
    file: str  # file or folder of its annotations
    dataset: Dataset | None  # with all classes; None where it cannot be read
    faults: tuple[Fault, ...]  # that its reader found

    def record_name(self, record: Record) -> str:
        """What a record is called in faults, as its reader calls it."""
        if self.format == "coco":
            return name_image(record.source_id, record.name)
        return f"image {record.name}"


def read_splits(config: Config) -> Iterator[Split]:
    """Read the training, evaluation and test splits of a config, each for itself.

    Faulty records are left out of the data sets, whatever data.on_error is.

    Raises:
        ConfigError, DataError: it is not clear which splits there are.
    """
    if config.data.format == "shapes":
        train = open_train_dataset(config)
        yield Split("train", "train", "shapes", "", train, ())
        yield Split("eval", "eval", "shapes", "", open_eval_dataset(config, train.class_names), ())
        return
    data = dataclasses.replace(config.data, on_error="skip")
    sources = find_sources(data)
    names = name_roots(data.roots) if len(sources) > 1 else [""]
    for source, folder in zip(sources, names, strict=True):
        done: set[str] = set()
        for role, split in _splits_of(source):
            if split not in done:
                yield _read(data, source, folder, role, split)
            done.add(split)


def _splits_of(source: Source) -> Iterator[tuple[Role, str]]:
    for split in source.train:
        yield "train", split
    if source.eval:
        yield "eval", source.eval
    if source.test:
        yield "test", source.test


def _read(data: DataConfig, source: Source, folder: str, role: Role, split: str) -> Split:
    name = f"{folder}/{split}" if folder else split
    file = _file_of(data, source, split)
    try:
        dataset = rename(read_source(data, source, (split,), ()), parse_renames(data.rename))
    except DataError as error:
        found = error.fault
        if found is None or found.kind == INVALID:
            where = (file, f"split {split}") if found is None else (found.file, found.record)
            what, remedy = (str(error), "") if found is None else (found.what, found.remedy)
            found = Fault("split-unreadable", *where, what, remedy)
        return Split(name, role, source.format, file, None, (found,))
    return Split(name, role, source.format, file, dataset, dataset.faults)


def _file_of(data: DataConfig, source: Source, split: str) -> str:
    """The file or folder that has a split's annotations; the root where that is not known."""
    places = FORMATS[source.format].find_splits(source.root, data.columns)
    found = matching(split, places)
    return os.path.join(source.root, places[found[0]]) if found else source.root

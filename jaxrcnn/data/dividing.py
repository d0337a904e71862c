"""The training splits of a config, and the images of them that are held out for evaluation."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.config import Config
from jaxrcnn.data.held_out import Halves, hold_out, note_on_copies
from jaxrcnn.data.reading import read_parts, read_training, unite
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sources import Source
from jaxrcnn.data.split_file import has_split, read_split, write_split

Workdir = str | os.PathLike[str] | None
"""A run's folder, if there is one."""


class Divided(NamedTuple):
    """All images of the training splits, and which of them are held out, if any are."""

    whole: Dataset
    halves: Halves | None

    def train(self) -> Dataset:
        """The images to train on."""
        return self.whole if self.halves is None else _take(self.whole, self.halves.train)

    def held_out(self) -> list[Dataset]:
        """The images held out, as a data set, if there are any."""
        if self.halves is None:
            return []
        part = _take(self.whole, self.halves.val)
        note = f"{len(part)} of {len(self.whole)} training images, held out"
        fields = {"name": f"{part.name} (held out)", "skipped": (), "faults": (), "notes": (note,)}
        counts = {"lost_images": 0, "clipped": 0, "other_boxes": 0, "empty_boxes": 0, "empty": 0}
        return [dataclasses.replace(part, **fields, **counts)]


def divide(
    config: Config,
    sources: Sequence[Source],
    classes: Sequence[str],
    workdir: Workdir,
    training: bool,
) -> Divided:
    """Read the training splits, and hold out images of the folders without an evaluation split.

    Args:
        config: of the run.
        sources: its folders.
        classes: in the order of their labels; empty takes all.
        workdir: if its split.json exists, that says which images are held out.
        training: the classes that the config names must exist, and split.json is written if there
            is none.

    Raises:
        ConfigError, DataError: see `jaxrcnn.data.datasets.open_datasets`.
    """
    data = config.data
    read = read_training if training else read_parts
    sets = read(data, [(source, source.train) for source in sources], classes)
    whole = unite(data, sets, classes)
    if all(source.eval != "" for source in sources):
        return Divided(whole, None)
    folder = None if workdir is None else pathlib.Path(workdir)
    if folder is not None and has_split(folder):
        goes_on = config.train.on_changed_data == "continue"
        halves, notes = read_split(folder, whole, without_missing=goes_on)
    else:
        owners = [
            source for source, part in zip(sources, sets, strict=True) for _ in range(len(part))
        ]
        places = [place for place, owner in enumerate(owners) if owner.eval == ""]
        chosen = hold_out(_take(whole, places), data.val_share, config.seed)
        val = [places[place] for place in chosen.val]
        halves, notes = Halves(sorted(set(range(len(whole))) - set(val)), val), []
        if folder is not None and training:
            write_split(folder, whole, halves, config.seed, data.val_share)
    held_out = f"{len(halves.val)} of {len(whole)} images held out for evaluation"
    notes = (*whole.notes, held_out, *note_on_copies(whole), *notes)
    return Divided(dataclasses.replace(whole, notes=notes), halves)


def _take(dataset: Dataset, places: Sequence[int]) -> Dataset:
    """Some images of a data set."""
    return dataclasses.replace(dataset, records=dataset.columns.take(places))

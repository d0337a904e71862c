"""Everything that is found out about a data set."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxrcnn.checking.boxes import check_boxes_together, find_rotated
from jaxrcnn.checking.classes import check_classes
from jaxrcnn.checking.cost import Fit
from jaxrcnn.checking.images import Look, decode_all
from jaxrcnn.checking.repeats import find_repeated
from jaxrcnn.checking.splits import Split
from jaxrcnn.checking.statistics import describe_split
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.errors import DataError, Fault
from jaxrcnn.data.fingerprint import take_fingerprint
from jaxrcnn.data.joining import join, name_classes
from jaxrcnn.data.records import Dataset


class SplitFindings(NamedTuple):
    """Of one split."""

    split: Split
    faults: list[Fault]
    statistics: dict[str, Any] | None  # None where it cannot be read
    rotated: list[int]  # places of the images whose EXIF tag exchanges their sides


class Findings(NamedTuple):
    """Of a data set."""

    splits: list[SplitFindings]
    classes: list[Fault]  # about names of classes

    @property
    def faults(self) -> list[tuple[str, Fault]]:
        """All faults, each with the name of its split; "" where it is of several."""
        own = [(each.split.name, fault) for each in self.splits for fault in each.faults]
        return [*own, *(("", fault) for fault in self.classes)]

    @property
    def by_kind(self) -> dict[str, list[tuple[str, Fault]]]:
        """The same, by their kinds."""
        found: defaultdict[str, list[tuple[str, Fault]]] = defaultdict(list)
        for split, fault in self.faults:
            found[fault.kind].append((split, fault))
        return dict(found)


class Report(NamedTuple):
    """All that check.json and check.html say."""

    config: Config  # of a run on this data
    findings: Findings
    fit: Fit | None  # of the config and the training images; None without objects
    fingerprint: dict[str, str]


def find(splits: Sequence[Split], cores: int, advance: Callable[[float], None]) -> Findings:
    """Decode all images, and look for faults in all splits.

    Args:
        splits: see `read_splits`.
        cores: processes that decode.
        advance: is told how many more images are done.
    """
    looks: list[list[Look]] = [
        [] if x.dataset is None else decode_all(x.dataset.reader, x.dataset.records, cores, advance)
        for x in splits
    ]
    repeated = find_repeated(splits, looks)
    found = []
    for split, own, twice in zip(splits, looks, repeated, strict=True):
        if split.dataset is None:
            found.append(SplitFindings(split, list(split.faults), None, []))
        else:
            faults = [*check_boxes_together(split, own), *twice]
            statistics = describe_split(split.dataset)
            found.append(SplitFindings(split, faults, statistics, find_rotated(own)))
    return Findings(found, check_classes(splits))


def training_set(splits: Sequence[Split]) -> Dataset | None:
    """The images of all training splits that could be read, with all classes, if there are any."""
    sets = [x.dataset for x in splits if x.role == "train" and x.dataset is not None]
    if not any(map(len, sets)):
        return None
    return sets[0] if len(sets) == 1 else join(sets, name_classes(sets))


def fingerprint(config: Config) -> dict[str, str]:
    """The hashes that a run of a config has of its training and evaluation set.

    Faulty records are left out, as with data.on_error=skip. A set that cannot be opened has none,
    and the reason is in its place.
    """
    data = dataclasses.replace(config.data, on_error="skip", max_skipped_share=1.0)
    try:
        sets = open_datasets(dataclasses.replace(config, data=data), any_classes=True)
    except (ConfigError, DataError) as error:
        return {"none": str(error)}
    digests = (take_fingerprint(dataset).digest for dataset in sets)
    return dict(zip(("training", "evaluation"), digests, strict=True))

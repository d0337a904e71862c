"""What a data set consists of, so that a run that is resumed notices what has changed.

The images' pixels are not read: an image counts as the same if its name, the size of its file and
its annotations are. Those are compared as they were read, whatever the format of their files.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.errors import quoted
from jaxrcnn.data.image_files import look_at
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.wording import counted

IMAGE = np.dtype([("height", "<i4"), ("width", "<i4"), ("as_stored", "u1"), ("boxes", "<i4")])
"""What is hashed of an image, the same on every machine."""
BOX = np.dtype([("box", "<f4", 4), ("label", "<i4"), ("area", "<f4"), ("marks", "u1", 3)])
"""What is hashed of each box; its marks are ignore, crowd and difficult."""


AT_ONCE = 4096
"""Records that are looked at together; all of a large data set would take much memory."""


class Fingerprint(NamedTuple):
    """The images of a data set, in its order, and its classes."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]  # of the files, bytes; 0 where there is none
    annotations: tuple[str, ...]  # a hash of the boxes, labels and marks on each image

    @property
    def digest(self) -> str:
        """A hash of all of it, 32 characters."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:32]


def take_fingerprint(dataset: Dataset) -> Fingerprint:
    """The fingerprint of a data set; takes about 10 us for each image."""
    names: list[str] = []
    sizes: list[int] = []
    annotations: list[str] = []
    for start in range(0, len(dataset), AT_ONCE):
        records = list(dataset.records[start : start + AT_ONCE])
        names += [record.name for record in records]
        # A ValueError is of a name that no file can have.
        sizes += [0 if isinstance(x, ValueError) else x for x in look_at(records, _file_size)]
        annotations += _hash_annotations(records)
    return Fingerprint(tuple(dataset.class_names), tuple(names), tuple(sizes), tuple(annotations))


def _file_size(record: Record) -> int:
    try:
        return os.stat(record.file).st_size if record.file else 0
    except OSError:  # it is gone since the data set was opened, which whoever reads it will say
        return 0


def _hash_annotations(records: Sequence[Record]) -> list[str]:
    """A hash for each image, 16 characters."""
    images = np.zeros(len(records), IMAGE)
    for field in ("height", "width", "as_stored"):
        images[field] = [getattr(record, field) for record in records]
    images["boxes"] = [len(record.boxes) for record in records]
    boxes = np.zeros(images["boxes"].sum(), BOX)
    columns = _columns(records)
    boxes["box"], boxes["label"], boxes["area"] = columns[:3]
    boxes["marks"] = np.stack(columns[3:], axis=1)
    ends = np.cumsum(images["boxes"], dtype=np.int64) * BOX.itemsize
    heads, rows = images.tobytes(), boxes.tobytes()
    hashes, start = [], 0
    for place, end in enumerate(ends.tolist()):
        head = heads[place * IMAGE.itemsize : (place + 1) * IMAGE.itemsize]
        hashes.append(hashlib.blake2b(head + rows[start:end], digest_size=8).hexdigest())
        start = end
    return hashes


def _columns(records: Sequence[Record]) -> list[np.ndarray]:
    """The boxes, labels, areas and marks of all records, one after the other."""
    fields = ("boxes", "labels", "area", "ignore", "crowd", "difficult")
    return [np.concatenate([getattr(record, field) for record in records]) for field in fields]


def differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    """What has changed from one to the other, in words: how many images, and the first names."""
    was, now = _by_name(before), _by_name(after)
    kept = [key for key in now if key in was]
    groups = {
        "new image": [key for key in now if key not in was],
        "missing image": [key for key in was if key not in now],
        "image of another file size": [key for key in kept if was[key].size != now[key].size],
        "image with other annotations": [key for key in kept if was[key].boxes != now[key].boxes],
    }
    found = [
        f"{counted(len(keys), noun, noun.replace('image', 'images'))} "
        f"({quoted((name for name, _ in keys), 3)})"
        for noun, keys in groups.items()
        if keys
    ]
    if kept != [key for key in was if key in now]:
        found.append("the images are in another order")
    if before.classes != after.classes:
        found.append(f"the classes are {quoted(after.classes)}, not {quoted(before.classes)}")
    return found


class _Image(NamedTuple):
    size: int
    boxes: str


def _by_name(fingerprint: Fingerprint) -> dict[tuple[str, int], _Image]:
    """The images by their names; of joined data sets, several may have one, and are numbered."""
    seen: Counter[str] = Counter()
    found = {}
    columns = fingerprint.names, fingerprint.sizes, fingerprint.annotations
    for name, size, boxes in zip(*columns, strict=True):
        found[name, seen[name]] = _Image(size, boxes)
        seen[name] += 1
    return found

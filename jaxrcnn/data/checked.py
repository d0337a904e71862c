"""Records of images whose boxes are still to be checked, many images at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.checks import EMPTY, CheckedBoxes, FaultLog, check_boxes, describe_empty
from jaxrcnn.data.columns import BLOCK, PER_BOX, Records
from jaxrcnn.data.errors import INVALID, fault
from jaxrcnn.data.image_files import ImageFile
from jaxrcnn.data.texts import Texts, starts_of

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


class BadBox(NamedTuple):
    """What cannot be understood."""

    where: str
    what: str
    kind: str = INVALID


class Boxed(NamedTuple):
    """An image, looked at, and its boxes."""

    image_id: int
    name: str
    image: ImageFile
    file: str  # that has the boxes, for errors
    faults: Sequence[BadBox]
    corners: Sequence[Corners]  # of each box, in pixels
    labels: Sequence[int]
    annotation_ids: Sequence[int]
    difficult: Sequence[bool]
    describe: Callable[[int], tuple[str, str]]
    """Of the box at a place: which record of the file it is, and what a message begins with."""


def make_records(
    images: Iterable[Boxed], log: FaultLog, counts: Counter[str], keep_difficult: bool = False
) -> tuple[Records, np.ndarray]:
    """The records of images, without their faulty and empty boxes.

    Args:
        images: in order.
        log: takes the faulty boxes; those without an area are remarks.
        counts: of boxes, in which those that are "cut" and "empty" are counted.
        keep_difficult: train on difficult boxes too.

    Returns:
        The records, and which of all boxes they have, (B,) bool.
    """
    blocks = [_make_block([], log, counts, keep_difficult)]
    blocks += [_make_block(block, log, counts, keep_difficult) for block in _blocks(images)]
    records, good = zip(*blocks, strict=True)
    return Records.concatenated(records), np.concatenate(good)


def _blocks(images: Iterable[Boxed]) -> Iterator[list[Boxed]]:
    iterator = iter(images)
    while block := list(islice(iterator, BLOCK)):
        yield block


def _make_block(
    images: list[Boxed], log: FaultLog, counts: Counter[str], keep_difficult: bool
) -> tuple[Records, np.ndarray]:
    """The same for images of which few are there at once."""
    numbers = [len(image.corners) for image in images]
    # (n, 2) and (B, 4), also where there are none
    sizes = np.array([image.image.size for image in images], np.int64).reshape(-1, 2)
    corners = np.array([x for each in images for x in each.corners], np.float64).reshape(-1, 4)
    checked = check_boxes(corners, *np.repeat(sizes, numbers, axis=0).T)
    owners = np.repeat(np.arange(len(images)), numbers)
    _log_faults(images, owners, corners, checked, log)
    good = checked.good
    counts.update(cut=int(checked.cut[good].sum()), empty=int(checked.empty.sum()))
    boxes = checked.boxes[good]

    def rows(field: str, values: Iterable[Sequence[int]]) -> np.ndarray:
        return np.fromiter(chain.from_iterable(values), PER_BOX[field], len(good))[good]

    difficult = rows("difficult", (image.difficult for image in images))
    records = Records(
        image_ids=np.array([image.image_id for image in images], np.int64),
        source_ids=Texts.of(str(image.image_id) for image in images),
        numeric=np.ones(len(images), bool),
        names=Texts.of(image.name for image in images),
        files=Texts.of(image.image.path for image in images),
        as_stored=np.array([image.image.as_stored for image in images], bool),
        sizes=sizes,
        starts=starts_of(np.bincount(owners[good], minlength=len(images))),
        boxes=boxes,
        labels=rows("labels", (image.labels for image in images)),
        ignore=np.zeros_like(difficult) if keep_difficult else difficult,
        crowd=np.zeros_like(difficult),
        difficult=difficult,
        area=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        annotation_ids=rows("annotation_ids", (image.annotation_ids for image in images)),
    )
    return records, good


def _log_faults(
    images: Sequence[Boxed],
    owners: np.ndarray,
    corners: np.ndarray,
    checked: CheckedBoxes,
    log: FaultLog,
) -> None:
    """Tell the log what is wrong, image by image."""
    empty = np.flatnonzero(checked.empty).tolist()
    places: dict[int, list[int]] = {}  # of the boxes of each image about which there is something
    for place in (*checked.faults, *empty):
        places.setdefault(int(owners[place]), []).append(place)
    for number, image in enumerate(images):
        path = image.image.path
        for where, what, kind in image.faults:
            log.add(fault(image.file, where, what, kind=kind, image=path))
        for place in places.get(number, ()):
            where, begin = image.describe(place - int(np.searchsorted(owners, number)))
            what, kind = checked.faults.get(place), checked.kinds.get(place, EMPTY)
            said = begin + (what or describe_empty(corners[place]))
            error = fault(image.file, where, said, kind=kind, image=path, box=corners[place])
            (log.add if what else log.remark)(error)

"""Faults of boxes that only show where all of an image or of a split are looked at."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.checking.images import Look
from jaxrcnn.checking.splits import Split
from jaxrcnn.data.checks import TOLERANCE, are_normalised, shown
from jaxrcnn.data.errors import DataError, Fault
from jaxrcnn.data.images import SIDEWAYS, read_header
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.wording import counted

GEOMETRIC = ("box-inverted", "box-outside", "box-reaches-out", "box-empty")
"""Kinds of faults that boxes have which are written in another way than they are read."""

FEWEST, SHARE, FITTING = 3, 0.2, 0.98
"""Boxes at fault, their share, and the share that fits if it is read otherwise, from which on a
split is taken to be written otherwise: boxes that are right seldom fit in two ways."""


class _Boxes(NamedTuple):
    """All boxes of a split, those at fault too."""

    corners: np.ndarray  # (B, 4) float64 as they are read, xyxy in pixels
    sizes: np.ndarray  # (B, 2) height and width of their images
    faults: list[Fault]  # of the last of them


def check_boxes_together(split: Split, looks: Sequence[Look]) -> list[Fault]:
    """All faults of a split's records: those of its reader, less those that have one reason.

    Args:
        split: whose data set could be read.
        looks: at its images.
    """
    assert split.dataset is not None
    faults = _rotated(split, split.dataset, list(split.faults))
    faults = _written_otherwise(split, split.dataset, faults)
    for record, look in zip(split.dataset.records, looks, strict=True):
        if look.fault is not None:
            faults.append(look.fault._replace(record=split.record_name(record)))
        faults += _of_record(split, split.dataset, record, look.orientation)
    return faults


def _of_record(split: Split, dataset: Dataset, record: Record, orientation: int) -> list[Fault]:
    """What is wrong with the boxes of one image together."""
    found: list[Fault] = []
    file, name = split.file, split.record_name(record)
    if record.as_stored:
        what = (
            f"it is annotated as {record.width}x{record.height} pixels, its size before its EXIF "
            f"tag (orientation {orientation}) rotates it; jaxrcnn ignores this tag, but other "
            "programs may not"
        )
        found.append(Fault("image-exif", file, name, what, "", record.file))
    if split.format != "yolo" and are_normalised([record.boxes]):
        number = counted(len(record.boxes), "box is", "boxes are")
        what = f"its {number} between 0 and 1, but boxes are in pixels"
        found.append(Fault("boxes-normalised", file, name, what, "", record.file))
    rows = np.concatenate([record.boxes, record.labels[:, None]], axis=1)  # (G, 5)
    _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    for place in first[counts > 1].tolist():
        box = tuple(record.boxes[place].tolist())
        label = dataset.class_names[record.labels[place] - 1]
        what = f"'{label}': the box ({shown(box)}) is annotated {counts[first == place][0]} times"
        found.append(Fault("box-twice", file, name, what, "", record.file, box))
    return found


def _rotated(split: Split, dataset: Dataset, faults: list[Fault]) -> list[Fault]:
    """Faulty boxes that fit their image before its EXIF tag rotates it become one fault."""
    of_image: defaultdict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.kind in GEOMETRIC and fault.image:
            of_image[fault.image].append(fault)
    places = _places(dataset, of_image)
    found: dict[str, Fault] = {}
    for image, own in of_image.items():
        if image not in places:
            continue
        record = dataset.records[places[image]]
        stored = _stored_size(image)
        boxes = np.concatenate([record.boxes, [fault.box for fault in own]])
        if stored is not None and _fit(boxes, np.array(stored)).all():
            what = (
                f"{counted(len(own), 'box lies', 'boxes lie')} outside of the image, but all fit "
                f"the {stored[1]}x{stored[0]} pixels that it has before its EXIF tag rotates it"
            )
            record_name = split.record_name(record)
            found[image] = Fault("image-exif", own[0].file, record_name, what, "", image)
    kept = [x for x in faults if x.image not in found or x.kind not in GEOMETRIC]
    return [*kept, *found.values()]


def _stored_size(image: str) -> tuple[int, int] | None:
    """Height and width of an image before its EXIF tag exchanges them; None if it does not."""
    try:
        with_tag = read_header(image, 2**62)
    except DataError:
        return None
    return with_tag.stored_size if with_tag.sideways else None


def _written_otherwise(split: Split, dataset: Dataset, faults: list[Fault]) -> list[Fault]:
    """Where the boxes of a split are written in another way, one fault for those of its boxes."""
    wrong = [fault for fault in faults if fault.kind in GEOMETRIC and fault.box]
    boxes = _all_boxes(dataset, wrong)
    number, share = len(wrong), len(wrong) / max(len(boxes.corners), 1)
    if number < FEWEST or share < SHARE:
        return faults
    ways = {"boxes-xywh": ("voc", "table"), "boxes-corners": ("coco", "imagefolder", "table")}
    for kind, formats in ways.items():
        fitting = float(np.mean(_fit(_otherwise(kind, boxes.corners), boxes.sizes)))
        if split.format in formats and fitting >= FITTING:
            read, written = "corners", "x, y, width, height"
            if kind == "boxes-corners":
                read, written = written, read
            what = (
                f"{share:.0%} of the {len(boxes.corners)} boxes are inverted or outside of their "
                f"images when read as {read}, but {fitting:.0%} fit as {written}"
            )
            one = wrong[0]
            whole = Fault(kind, split.file, f"split {split.name}", what, "", one.image, one.box)
            others = [fault for fault in faults if not (fault.kind in GEOMETRIC and fault.box)]
            return [*others, whole]
    return faults


def _otherwise(kind: str, corners: np.ndarray) -> np.ndarray:
    """The boxes (B, 4) xyxy, if what was read as they are was meant in another way."""
    start, end = corners[:, :2], corners[:, 2:]
    if kind == "boxes-xywh":
        return np.concatenate([start, start + end], axis=1)
    return np.concatenate([start, end - start], axis=1)


def _fit(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which boxes (B, 4) are in images of these sizes, (2,) or (B, 2), and have an area, (B,)."""
    limits = np.broadcast_to(sizes[..., ::-1], (len(boxes), 2)) + 2 * TOLERANCE
    begin, end = boxes[:, :2], boxes[:, 2:]
    good = (begin >= -2 * TOLERANCE) & (end <= limits) & (end > begin)
    return np.asarray(good.all(axis=1))


def _all_boxes(dataset: Dataset, faults: Sequence[Fault]) -> _Boxes:
    places = _places(dataset, {fault.image for fault in faults})
    known = [fault for fault in faults if fault.image in places]
    columns = dataset.columns
    corners = [columns.boxes.astype(np.float64), *(np.array([fault.box]) for fault in known)]
    sizes = [columns.sizes[columns.owners]]
    sizes += [columns.sizes[[places[fault.image]]] for fault in known]
    return _Boxes(np.concatenate(corners), np.concatenate(sizes), known)


def _places(dataset: Dataset, images: Mapping[str, object] | set[str]) -> dict[str, int]:
    """The places in a data set of some images, by their files."""
    return {file: place for place, file in enumerate(dataset.columns.files) if file in images}


def find_rotated(looks: Sequence[Look]) -> list[int]:
    """The places of the images that have an EXIF tag that exchanges their sides."""
    return [place for place, look in enumerate(looks) if look.orientation in SIDEWAYS]

"""COCO's format: one json file a split, boxes (x, y, width, height), sparse category ids."""

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxrcnn.data.checks import NORMALISED, FaultLog, are_normalised, check_boxes
from jaxrcnn.data.coco_categories import number_categories
from jaxrcnn.data.coco_images import look_at_images
from jaxrcnn.data.coco_tables import Entry, Split, read_split
from jaxrcnn.data.errors import DataError, counted, fault
from jaxrcnn.data.image_files import ImageFile
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.records import Dataset, Record, make_record, read_file
from jaxrcnn.data.values import described, flag, number, whole_number

LARGEST_AREA = float(np.finfo(np.float32).max)
"""Areas are kept as float32."""


class _Box(NamedTuple):
    """What an annotation says."""

    id: int
    label: int
    corners: tuple[float, float, float, float]  # xyxy in pixels
    crowd: bool
    ignore: bool
    area: float | None  # in pixels


def read_coco(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
    max_pixels: int = MAX_PIXELS,
) -> Dataset:
    """Open splits of a folder in COCO's format as one data set.

    Args:
        root: the folder. A split is annotations/instances_SPLIT.json, with its images in
            SPLIT/, images/SPLIT/, images/ or JPEGImages/, the first that exists, or in another of
            the layouts that `find_splits` knows.
        splits: names of the splits, in this order.
        classes: names of the categories in the order of their labels; boxes of others are left
            out and counted. Empty takes all, by ascending id.
        on_error: what to do with a faulty image or box: stop, or leave it out and note it.
        max_pixels: height times width of the largest image that is read.

    Returns:
        The data set. Crowds (iscrowd) are boxes to ignore, in training also those marked with
        ignore; segmentations are not read. Images keep their ids, unless these are strings or two
        splits share one: then they are numbered from 1.

    Raises:
        DataError: a json file, its categories or a folder of images is unusable; with on_error
            "raise" also a faulty image or box.
    """
    log = FaultLog(on_error)
    tables = [read_split(root, split, log) for split in splits]
    categories = number_categories(tables, classes)
    numbered = _why_numbered(tables)
    records: list[Record] = []
    counts: Counter[str] = Counter()
    order = itertools.count(1)
    for table, labels in zip(tables, categories.labels, strict=True):
        files = look_at_images(root, table, max_pixels)
        for image, file in zip(table.images, files, strict=True):
            place = next(order)
            if isinstance(file, ValueError):
                log.add(fault(table.file, f"image {image['id']}", str(file)))
                continue
            image_id = place if numbered else image["id"]
            records.append(_read_record(image_id, image, file, table, labels, log, counts))
    notes = [*(note for table in tables for note in table.notes), *categories.notes]
    notes += _notes(numbered, counts["renamed"], records)
    return Dataset(
        name="+".join(splits),
        records=tuple(records),
        class_names=categories.names,
        category_ids=categories.ids,
        reader=functools.partial(read_file, max_pixels=max_pixels),
        skipped=tuple(log.lines),
        clipped=counts["cut"],
        other_boxes=counts["other"],
        empty_boxes=counts["empty"],
        notes=tuple(notes),
        source_classes=categories.listed,
    )


def _notes(numbered: str, renamed: int, records: Sequence[Record]) -> list[str]:
    """What a person should know of how the images and boxes were read."""
    notes = []
    if numbered:
        notes.append(f"{numbered}: images are numbered from 1 in their order")
    if renamed:
        notes.append(f"{counted(renamed, 'image')} found by file name alone, in another folder")
    if are_normalised(record.boxes for record in records):
        notes.append(NORMALISED)
    return notes


def _why_numbered(tables: Sequence[Split]) -> str:
    """Why the images cannot keep their ids; nothing where they can."""
    ids = [image["id"] for table in tables for image in table.images]
    if any(isinstance(key, str) for key in ids):
        return "image ids are strings"
    return "the splits share image ids" if len(set(ids)) < len(ids) else ""


def _read_record(
    image_id: int,
    image: Entry,
    file: ImageFile,
    table: Split,
    labels: dict[int, int],
    log: FaultLog,
    counts: Counter[str],
) -> Record:
    """One image's record; its faulty boxes go to the log, and what is done to others is counted."""
    boxes: list[_Box] = []
    for annotation in table.annotations.get(image["id"], ()):
        try:
            label = _label(annotation, table, labels)
            if label:
                boxes.append(_read_box(annotation, label))
            else:
                counts["other"] += 1
        except ValueError as error:
            log.add(_fault(table, image, annotation["id"], str(error)))
    corners = np.array([box.corners for box in boxes], np.float64).reshape(-1, 4)
    checked = check_boxes(corners, *file.size)
    for place, what in checked.faults.items():
        log.add(_fault(table, image, boxes[place].id, what))
    good = checked.good
    kept = [box for box, is_good in zip(boxes, good, strict=True) if is_good]
    corners = checked.boxes[good]
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1).tolist()
    counts.update(cut=int(checked.cut[good].sum()), empty=int(checked.empty.sum()))
    counts["renamed"] += file.renamed
    return make_record(
        image_id,
        image["file_name"],
        file.path,
        file.size,
        corners,
        [box.label for box in kept],
        [box.id for box in kept],
        source_id=image["id"],
        crowd=[box.crowd for box in kept],
        ignore=[box.ignore for box in kept],
        area=[a if box.area is None else box.area for box, a in zip(kept, areas, strict=True)],
        as_stored=file.as_stored,
    )


def _label(annotation: Entry, table: Split, labels: dict[int, int]) -> int:
    """Label of an annotation, 0 where its category is no class; ValueError where there is none."""
    category = whole_number(annotation.get("category_id"), "category_id")
    if category not in table.categories:
        raise ValueError(f"no category has the id {described(category)}")
    return labels.get(category, 0)


def _read_box(annotation: Entry, label: int) -> _Box:
    """What an annotation says; ValueError where it cannot be understood."""
    box, area = annotation.get("bbox"), annotation.get("area")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"bbox is {described(box)}, not four numbers")
    x, y, width, height = (number(value, "a number of bbox") for value in box)
    return _Box(
        annotation["id"],
        label,
        (x, y, x + width, y + height),
        flag(annotation.get("iscrowd"), "iscrowd"),
        flag(annotation.get("ignore"), "ignore"),
        None if area is None else _area(area),
    )


def _area(value: object) -> float:
    """An annotated area in pixels; ValueError where it is none."""
    area = number(value, "area")
    if not 0 <= area <= LARGEST_AREA:
        raise ValueError(f"area is {described(value)}, which is no area")
    return area


def _fault(table: Split, image: Entry, annotation_id: int, what: str) -> DataError:
    return fault(table.file, f"image {image['id']}", f"annotation {annotation_id}: {what}")

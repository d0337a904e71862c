"""COCO's format: one json file a split, boxes (x, y, width, height), sparse category ids."""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxrcnn.data.checks import (
    EMPTY,
    NORMALISED,
    FaultLog,
    are_normalised,
    check_boxes,
    describe_empty,
)
from jaxrcnn.data.coco_annotations import LARGEST_AREA, Entry
from jaxrcnn.data.coco_categories import number_categories
from jaxrcnn.data.coco_images import look_at_images
from jaxrcnn.data.coco_tables import Split, name_image, read_split
from jaxrcnn.data.columns import Records
from jaxrcnn.data.errors import INVALID, UNKNOWN_CLASS, DataError, Invalid, fault
from jaxrcnn.data.image_files import ImageFile
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.records import Dataset, read_file
from jaxrcnn.data.texts import Texts, starts_of
from jaxrcnn.data.values import described, flag, number, whole_number
from jaxrcnn.wording import counted


class _Box(NamedTuple):
    """What an annotation says."""

    id: int
    label: int
    corners: tuple[float, float, float, float]  # xyxy in pixels
    crowd: bool
    ignore: bool
    area: float | None  # in pixels


Faults = list[tuple[int, int, int, str | ValueError]]
"""Place of an image, 0 for its file, 1 for what is written or 2 for boxes, place there, and what is
wrong."""


def read_coco(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
    max_pixels: int = MAX_PIXELS,
    image_roots: Sequence[str] = (),
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
        image_roots: folders besides the root that images may be in.

    Returns:
        The data set. Crowds (iscrowd) are boxes to ignore, in training also those marked with
        ignore; segmentations are not read. Images keep their ids, unless these are strings or two
        splits share one: then they are numbered from 1.

    Raises:
        DataError: a json file, its categories or a folder of images is unusable; with on_error
            "raise" also a faulty image or box.
    """
    log, inside = FaultLog(on_error), Inside([root, *image_roots])
    tables = [read_split(root, split, log) for split in splits]
    categories = number_categories(tables, classes)
    numbered = _why_numbered(tables)
    parts: list[Records] = []
    counts: Counter[str] = Counter()
    first = 1
    for table, labels in zip(tables, categories.labels, strict=True):
        ids = [image["id"] for image in table.images]
        if numbered:
            ids = list(range(first, first + len(ids)))
        first += len(ids)
        files = look_at_images(root, table, max_pixels, inside)
        parts.append(_read_records(table, ids, files, labels, log, counts))
    records = Records.concatenated(parts)
    notes = [*(note for table in tables for note in table.notes), *categories.notes]
    notes += _notes(numbered, counts["renamed"], records.boxes)
    return Dataset(
        name="+".join(splits),
        records=records,
        class_names=categories.names,
        category_ids=categories.ids,
        reader=functools.partial(read_file, max_pixels=max_pixels),
        skipped=tuple(log.lines),
        faults=tuple(log.faults),
        lost_images=log.lost_images,
        clipped=counts["cut"],
        other_boxes=counts["other"],
        empty_boxes=counts["empty"],
        notes=tuple(notes),
        source_classes=categories.listed,
    )


def _notes(numbered: str, renamed: int, boxes: np.ndarray) -> list[str]:
    """What a person should know of how the images and boxes were read."""
    notes = []
    if numbered:
        notes.append(f"{numbered}: images are numbered from 1 in their order")
    if renamed:
        notes.append(f"{counted(renamed, 'image')} found by file name alone, in another folder")
    if are_normalised([boxes]):
        notes.append(NORMALISED)
    return notes


def _why_numbered(tables: Sequence[Split]) -> str:
    """Why the images cannot keep their ids; nothing where they can."""
    ids = [image["id"] for table in tables for image in table.images]
    if any(isinstance(key, str) for key in ids):
        return "image ids are strings"
    return "the splits share image ids" if len(set(ids)) < len(ids) else ""


def _read_records(
    table: Split,
    image_ids: Sequence[int],
    files: Sequence[ImageFile | ValueError],
    labels: dict[int, int],
    log: FaultLog,
    counts: Counter[str],
) -> Records:
    """The records of a split; what is at fault goes to the log, what is done to others is counted.

    Faults are logged image by image: first those of what is written, then those of boxes.
    """
    faults: Faults = []
    for place, file in enumerate(files):
        if isinstance(file, ValueError):
            faults.append((place, 0, 0, file))
    is_there = np.array([isinstance(file, ImageFile) for file in files], np.bool_)
    boxes = _label_boxes(table, labels, is_there, faults, counts)
    sizes = np.array(
        [file.size if isinstance(file, ImageFile) else (1, 1) for file in files], np.int64
    ).reshape(-1, 2)  # (N, 2), also where N is 0
    checked = check_boxes(boxes.corners, *sizes[boxes.owners].T)
    for row, what in checked.faults.items():
        invalid = Invalid(f"annotation {boxes.ids[row]}: {what}", checked.kinds[row])
        faults.append((int(boxes.owners[row]), 2, row, invalid))
    for place, stage, row, what in sorted(faults):  # no two have the same place, stage and row
        log.add(_fault(table, files, place, what, boxes, row if stage == 2 else -1), stage == 0)
    for row in np.flatnonzero(checked.empty).tolist():
        what = Invalid(f"annotation {boxes.ids[row]}: {describe_empty(boxes.corners[row])}", EMPTY)
        log.remark(_fault(table, files, int(boxes.owners[row]), what, boxes, row))
    good = checked.good
    counts.update(cut=int(checked.cut[good].sum()), empty=int(checked.empty.sum()))
    corners, crowd = checked.boxes[good], boxes.crowd[good]
    areas = boxes.areas[good].astype(np.float32)
    own = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    kept = np.flatnonzero(is_there).tolist()
    found = [file for file in files if isinstance(file, ImageFile)]
    counts["renamed"] += sum(file.renamed for file in found)
    ids = [table.images[place]["id"] for place in kept]
    per_image = np.bincount(boxes.owners[good], minlength=len(files))[kept]
    return Records(
        image_ids=np.array([image_ids[place] for place in kept], np.int64),
        source_ids=Texts.of(map(str, ids)),
        numeric=np.array([not isinstance(key, str) for key in ids], np.bool_),
        names=Texts.of(table.images[place]["file_name"] for place in kept),
        files=Texts.of(file.path for file in found),
        as_stored=np.array([file.as_stored for file in found], np.bool_),
        sizes=sizes[kept],
        starts=starts_of(per_image),
        boxes=corners,
        labels=boxes.labels[good],
        ignore=boxes.ignore[good] | crowd,
        crowd=crowd,
        difficult=np.zeros(len(corners), np.bool_),
        area=np.where(np.isnan(areas), own, areas),
        annotation_ids=boxes.ids[good],
    )


def _fault(
    table: Split,
    files: Sequence[ImageFile | ValueError],
    place: int,
    what: str | ValueError,
    boxes: "_Boxes",
    row: int,
) -> DataError:
    """The error of an image or, where row is not below 0, of one of its boxes."""
    file, entry = files[place], table.images[place]
    record = name_image(entry["id"], entry.get("file_name"))
    image = file.path if isinstance(file, ImageFile) else getattr(file, "image", "")
    box = boxes.corners[row] if row >= 0 else ()
    return fault(table.file, record, what, image=image, box=box)


class _Boxes(NamedTuple):
    """The boxes of classes, (B,) each, by image and then in the order of the table."""

    owners: np.ndarray  # int64, places of their images
    places: np.ndarray  # int64, in the table
    corners: np.ndarray  # (B, 4) float64, xyxy in pixels
    labels: np.ndarray  # int32
    areas: np.ndarray  # float64 in pixels, NaN where there is none
    crowd: np.ndarray  # bool
    ignore: np.ndarray  # bool
    ids: np.ndarray  # int64


def _label_boxes(
    table: Split,
    labels: dict[int, int],
    is_there: np.ndarray,
    faults: Faults,
    counts: Counter[str],
) -> _Boxes:
    """The boxes of images that are there; adds to the faults what cannot be read."""
    regular = _label_rows(table, labels, is_there, faults, counts)
    odd: list[tuple[int, int, _Box]] = []
    for place, owner, entry in table.annotations.odd:
        if not is_there[owner]:
            continue
        try:
            label = _label(entry, table, labels)
            if label:
                odd.append((owner, place, _read_box(entry, label)))
            else:
                counts["other"] += 1
        except ValueError as error:
            what = f"annotation {entry['id']}: {error}"
            faults.append((owner, 1, place, Invalid(what, getattr(error, "kind", INVALID))))
    if odd:
        regular = _with_odd(regular, odd)
    order = np.lexsort((regular.places, regular.owners))
    return _Boxes(*(column[order] for column in regular))


def _label_rows(
    table: Split,
    labels: dict[int, int],
    is_there: np.ndarray,
    faults: Faults,
    counts: Counter[str],
) -> _Boxes:
    """The same of what is written as COCO writes it."""
    rows = table.annotations.rows
    rows = rows.take(is_there[rows.owners])
    listed, where = np.unique(rows.categories, return_inverse=True)
    known = [labels.get(key, 0) if key in table.categories else -1 for key in listed.tolist()]
    label = np.array(known or [0], np.int32)[where]
    for row in np.flatnonzero(label < 0).tolist():
        what = f"no category has the id {described(int(rows.categories[row]))}"
        owner, place = int(rows.owners[row]), int(rows.places[row])
        unknown = Invalid(f"annotation {rows.ids[row]}: {what}", UNKNOWN_CLASS)
        faults.append((owner, 1, place, unknown))
    counts["other"] += int((label == 0).sum())
    rows = rows.take(label > 0)
    with np.errstate(invalid="ignore", over="ignore"):  # of what is not finite
        ends = rows.boxes[:, :2] + rows.boxes[:, 2:]
    return _Boxes(
        rows.owners,
        rows.places,
        np.concatenate([rows.boxes[:, :2], ends], axis=1),
        label[label > 0],
        rows.areas,
        rows.crowd,
        rows.ignore,
        rows.ids,
    )


def _with_odd(boxes: _Boxes, odd: Sequence[tuple[int, int, _Box]]) -> _Boxes:
    """All boxes: also those that were written in another way."""
    owners, places, found = zip(*odd, strict=True)
    ids, labels, corners, crowd, ignore, areas = zip(*found, strict=True)
    areas = [np.nan if area is None else area for area in areas]
    more = (owners, places, corners, labels, areas, crowd, ignore, ids)
    columns = zip(boxes, more, strict=True)
    return _Boxes(*(np.concatenate([x, np.array(y, x.dtype)]) for x, y in columns))


def _label(annotation: Entry, table: Split, labels: dict[int, int]) -> int:
    """Label of an annotation, 0 where its category is no class; ValueError where there is none."""
    category = whole_number(annotation.get("category_id"), "category_id")
    if category not in table.categories:
        raise Invalid(f"no category has the id {described(category)}", UNKNOWN_CLASS)
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
        raise ValueError(f"area is {described(value)}, which is not a valid area")
    return area

"""COCO's format: one json file a split, boxes (x, y, width, height), sparse category ids."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxrcnn.data.checks import FaultLog, check_boxes, check_image, check_size
from jaxrcnn.data.errors import fault
from jaxrcnn.data.records import Dataset, Record, make_record

Entry = dict[str, Any]
NO_CATEGORY = "N/A "
"""How the name of a class begins that a detector has and no data: torchvision has one for each id
that COCO never gave out. Its category id is less than 0."""
LOOK = "check data.root and the names of the splits"


class _Split(NamedTuple):
    """One json file, its tables grouped by image."""

    file: str
    folder: str  # of the images
    categories: dict[int, str]
    images: list[Entry]
    annotations: dict[int, list[Entry]]  # by image id


def read_coco(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
) -> Dataset:
    """Open splits of a folder in COCO's format as one data set.

    Args:
        root: the folder. A split is annotations/instances_SPLIT.json, with its images in
            SPLIT/, images/SPLIT/, images/ or JPEGImages/, the first that exists.
        splits: names of the splits, in this order.
        classes: names of the categories in the order of their labels; boxes of others are left
            out and counted. Empty takes all, by ascending id.
        on_error: what to do with a faulty record: stop, or leave it out and note it.

    Returns:
        The data set. Crowds (iscrowd) are boxes to ignore; segmentations are not read.

    Raises:
        DataError: a json file, its categories or a folder of images is unusable; with on_error
            "raise" also a faulty record.
    """
    tables = [_read_split(root, split) for split in splits]
    labels, names = _number_categories(tables, classes)
    repeated_images = _repeated(image for table in tables for image in table.images)
    repeated_annotations = _repeated(
        entry for table in tables for entries in table.annotations.values() for entry in entries
    )
    log = FaultLog(on_error)
    records: list[Record] = []
    cut = others = 0
    for table in tables:
        _check_orphans(table, log)
        for image in table.images:
            annotations = table.annotations.get(image["id"], [])
            try:
                _check_ids(image, annotations, repeated_images, repeated_annotations)
                wanted = [a for a in annotations if _label(a, labels, table.categories)]
                record, cut_here = _read_record(image, wanted, table.folder, labels)
            except ValueError as error:
                log.add(fault(table.file, f"image {image['id']}", str(error)))
                continue
            records.append(record)
            cut += cut_here
            others += len(annotations) - len(wanted)
    return Dataset(
        name="+".join(splits),
        records=tuple(records),
        class_names=names,
        category_ids=tuple(labels),
        skipped=tuple(log.lines),
        clipped=cut,
        other_boxes=others,
    )


def _read_split(root: str, split: str) -> _Split:
    """The tables of one json file; DataError where they are not COCO's."""
    file = os.path.join(root, "annotations", f"instances_{split}.json")
    try:
        with open(file, encoding="utf-8") as stream:
            tables = json.load(stream)
        images, annotations, categories = (
            _entries(tables, name) for name in ("images", "annotations", "categories")
        )
        names = {category["id"]: _field(category, "name", str) for category in categories}
        if len(set(names.values())) < len(categories):
            raise ValueError("an id or a name is used twice in the table 'categories'")
        grouped: dict[int, list[Entry]] = defaultdict(list)
        for annotation in annotations:
            grouped[_field(annotation, "image_id", int)].append(annotation)
    except OSError as error:
        raise fault(file, f"split {split}", f"cannot be read ({error.strerror})", LOOK) from error
    except ValueError as error:  # json's own errors are of this type
        raise fault(
            file, f"split {split}", f"is not COCO's json ({error})", "correct it"
        ) from error
    return _Split(file, _image_folder(root, split), names, images, dict(grouped))


def _entries(tables: object, name: str) -> list[Entry]:
    """A table of the json file, every entry an object with an integer id."""
    table = tables.get(name) if isinstance(tables, dict) else None
    if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
        raise ValueError(f"the table '{name}' is missing or no list of objects")
    for entry in table:
        _field(entry, "id", int)
    return table


def _field(entry: Entry, key: str, kind: type) -> Any:
    """A field of an entry; ValueError where it is missing or of another type."""
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"'{key}' of {entry.get('id')} is {value!r}, not of type {kind.__name__}")
    return value


def _image_folder(root: str, split: str) -> str:
    """The first folder that exists of those where the images of a split may be."""
    places = [split, os.path.join("images", split), "images", "JPEGImages"]
    for place in places:
        folder = os.path.join(root, place)
        if os.path.isdir(folder):
            return folder
    raise fault(root, f"split {split}", f"no folder of images among {', '.join(places)}", LOOK)


def _repeated(entries: Iterable[Entry]) -> set[int]:
    """The ids that more than one entry has."""
    counts = Counter(entry["id"] for entry in entries)
    return {key for key, count in counts.items() if count > 1}


def _number_categories(
    tables: Sequence[_Split], classes: Sequence[str]
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Labels 1..K by category id, in the order of the labels, and the names in that order."""
    categories = tables[0].categories
    for table in tables[1:]:
        if table.categories != categories:
            what = f"its categories are not those of {tables[0].file}"
            raise fault(table.file, "categories", what, "give both files the same ones")
    names = tuple(classes) or tuple(categories[key] for key in sorted(categories))
    ids = {name: key for key, name in categories.items()}
    for label, name in enumerate(names, 1):
        if name.startswith(NO_CATEGORY):
            ids[name] = -label
        elif name not in ids:
            what = f"no category is named '{name}', the names are {', '.join(ids)}"
            raise fault(tables[0].file, "categories", what, "correct data.classes or the file")
    return {ids[name]: label for label, name in enumerate(names, 1)}, names


def _check_ids(
    image: Entry,
    annotations: Sequence[Entry],
    repeated_images: set[int],
    repeated_annotations: set[int],
) -> None:
    """ValueError where an image, or an annotation on it, shares its id with another."""
    if image["id"] in repeated_images:
        raise ValueError("more than one image has this id")
    for annotation in annotations:
        if annotation["id"] in repeated_annotations:
            raise ValueError(f"more than one annotation has the id {annotation['id']}")


def _check_orphans(table: _Split, log: FaultLog) -> None:
    """Report annotations of images that the file does not list."""
    known = {image["id"] for image in table.images}
    for image_id, annotations in table.annotations.items():
        if image_id not in known:
            for annotation in annotations:
                what = f"there is no image {image_id}"
                log.add(fault(table.file, f"annotation {annotation['id']}", what))


def _label(annotation: Entry, labels: dict[int, int], categories: dict[int, str]) -> int:
    """Label of an annotation, 0 where its category is not wanted."""
    category = _field(annotation, "category_id", int)
    if category not in categories:
        raise ValueError(f"annotation {annotation['id']} has the unknown category id {category}")
    return labels.get(category, 0)


def _read_record(
    image: Entry, annotations: Sequence[Entry], folder: str, labels: dict[int, int]
) -> tuple[Record, int]:
    """One image's record and how many of its boxes were cut; ValueError names the fault."""
    height, width = check_size(image.get("height"), image.get("width"))
    file = os.path.join(folder, _field(image, "file_name", str))
    check_image(file)
    names = [f"annotation {annotation['id']}" for annotation in annotations]
    corners = np.array([_corners(annotation) for annotation in annotations]).reshape(-1, 4)
    boxes, cut = check_boxes(corners, height, width, names)
    record = make_record(
        image["id"],
        image["file_name"],
        file,
        (height, width),
        boxes,
        [labels[annotation["category_id"]] for annotation in annotations],
        [annotation["id"] for annotation in annotations],
        crowd=[bool(annotation.get("iscrowd", 0)) for annotation in annotations],
        area=[_area(*pair) for pair in zip(annotations, boxes, strict=True)],
    )
    return record, cut


def _corners(annotation: Entry) -> tuple[float, float, float, float]:
    """The box as xyxy; ValueError where it is not four numbers."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        raise ValueError(f"annotation {annotation['id']} has bbox {box!r}, not four numbers")
    x, y, width, height = (float(value) for value in box)
    return x, y, x + width, y + height


def _area(annotation: Entry, box: np.ndarray) -> float:
    """The annotated area, that of the box where none is."""
    area = annotation.get("area", float(np.prod(box[2:] - box[:2])))
    if not _is_number(area) or not np.isfinite(area):
        raise ValueError(f"annotation {annotation['id']} has area {area!r}, not a finite number")
    return area


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""The metadata of Hugging Face's imagefolder: a line an image, with its objects."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrcnn.data.annotated import BadBox, Box, read_annotation
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import INVALID, UNKNOWN_CLASS, Invalid, fault, quoted
from jaxrcnn.data.table_sheet import read_sheet
from jaxrcnn.data.values import described, number, whole_number
from jaxrcnn.data.written import is_blank, written_name
from jaxrcnn.wording import counted

NAMES = ("file_name", "image")
"""Keys of an image's path; of both the first is taken."""
CLASSES = ("categories", "category", "labels", "label")
"""Keys of the classes of the objects."""


class Entry(NamedTuple):
    """An image and its objects."""

    file: str
    where: str
    name: str  # path, from the folder of the metadata
    boxes: list[Box]
    faults: list[BadBox]
    numbered: bool  # a class is given by its number
    image_id: int = 0


def read_metadata(file: str, names: Sequence[str], log: FaultLog) -> list[Entry]:
    """The images of a metadata file by their names; those at fault go to the log.

    Args:
        file: JSON Lines, CSV or Parquet.
        names: of the classes by number; empty if they are not known.
        log: takes the images at fault.

    Raises:
        DataError: the file cannot be read.
    """
    entries: list[Entry] = []
    for where, read in _lines(file):
        try:
            if isinstance(read, ValueError):
                raise read
            entries.append(_read_entry(file, where, read, names))
        except ValueError as error:
            log.add(fault(file, where, error), loses_image=True)
    return sorted(entries, key=lambda entry: entry.name.split("/"))


def _lines(file: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    """Where each image is described, and what is there."""
    if not file.lower().endswith(".jsonl"):
        sheet = read_sheet(file)
        for cells in sheet.rows:
            yield cells.where, dict(zip(sheet.header, cells.values, strict=False))
        return
    text = read_annotation(file, "the metadata").replace("\r\n", "\n")
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                read = _parse(content)
                if not isinstance(read, dict):
                    raise ValueError(f"it is {described(read)}, not an object")
            except ValueError as error:
                read = error
            yield f"line {line}", read


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is not JSON (it is nested too deeply)") from error
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error


def _read_entry(file: str, where: str, read: dict[str, Any], names: Sequence[str]) -> Entry:
    """An image and its objects; ValueError where they cannot be understood as a whole."""
    written = next((read[key] for key in NAMES if not is_blank(read.get(key))), None)
    name = written_name(written, "file_name").replace("\\", "/").removeprefix("./")
    pairs = _pairs(read.get("objects"))
    boxes: list[Box] = []
    faults: list[BadBox] = []
    for place, (box, label) in enumerate(pairs, 1):
        at = f"{where}, object {place}"
        try:
            x, y, width, height = _numbers(box)
            corners = (x, y, x + width, y + height)
            boxes.append(Box(place, at, _class_name(label, names), corners))
        except ValueError as error:
            faults.append(BadBox(at, str(error), getattr(error, "kind", INVALID)))
    numbered = any(type(label) is int for _, label in pairs)
    return Entry(file, where, name, boxes, faults, numbered)


def _pairs(objects: Any) -> list[tuple[Any, Any]]:
    """The box and the class of each object, unchecked; ValueError where they do not go together."""
    if isinstance(objects, str) and not is_blank(objects):  # of a CSV file
        objects = _parse(objects)
    if is_blank(objects):
        return []
    if isinstance(objects, list):
        if not all(isinstance(item, dict) for item in objects):
            raise ValueError("objects is a list whose entries are not objects")
        return [(item.get("bbox"), item.get(_class_key(item))) for item in objects]
    if not isinstance(objects, dict):
        raise ValueError(f"objects is {described(objects)}, not an object with bbox and categories")
    boxes = objects.get("bbox")
    if boxes is None:
        boxes = []
    labels = objects.get(_class_key(objects)) if boxes else []
    if not isinstance(boxes, list) or not isinstance(labels, list):
        raise ValueError("bbox and categories of objects are not both lists")
    if len(boxes) != len(labels):
        raise ValueError(
            f"objects has {counted(len(boxes), 'box', 'boxes')} (bbox), but {len(labels)} classes"
        )
    return list(zip(boxes, labels, strict=True))


def _class_key(objects: Mapping[str, Any]) -> str:
    """The key of the classes; ValueError where there is none, or more than one."""
    keys = [key for key in CLASSES if objects.get(key) is not None]
    if len(keys) > 1:
        raise ValueError(f"objects has {quoted(keys)}, each of which could be the classes")
    if not keys:
        raise ValueError(f"objects has none of {quoted(CLASSES)}")
    return keys[0]


def _numbers(box: Any) -> tuple[float, float, float, float]:
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"bbox is {described(box)}, not four numbers")
    x, y, width, height = (number(value, "a number of bbox") for value in box)
    return x, y, width, height


def _class_name(label: Any, names: Sequence[str]) -> str:
    """The name of a class, or its number as text where names are not known."""
    if isinstance(label, str):
        return written_name(label, "the class")
    place = whole_number(label, "the class")
    if names and place not in range(len(names)):
        what = f"the class is {place}, but README.md names the classes 0 to {len(names) - 1}"
        raise Invalid(what, UNKNOWN_CLASS)
    return names[place] if names else str(place)

"""The json file of a split in COCO's format: its tables, with ids that are checked."""

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.coco_layouts import LOOK, locate
from jaxrcnn.data.errors import fault
from jaxrcnn.data.foreign import identify
from jaxrcnn.data.text import read_text
from jaxrcnn.data.values import described, string, whole_number

Entry = dict[str, Any]
Id = int | str


class Split(NamedTuple):
    """One json file; its images have ids that are unique in it, its annotations are theirs."""

    name: str
    file: str
    folder: str  # of the images
    categories: dict[int, str]  # names by id
    images: list[Entry]  # "id" is an integer of 64 bits or a string
    annotations: dict[Id, list[Entry]]  # by the id of their image; "id" is an integer of 64 bits
    notes: list[str]
    more: tuple[str, ...] = ()  # folders where images may be too


def read_split(root: str, name: str, log: FaultLog) -> Split:
    """The tables of one json file; entries with unusable ids go to the log.

    Raises:
        DataError: the file, a table or a category is unusable; with log.on_error "raise" also an
            entry.
    """
    file, folder, more = locate(root, name)
    try:
        tables = json.loads(read_text(file))
        images, annotations, categories = (
            _table(tables, key) for key in ("images", "annotations", "categories")
        )
        notes: list[str] = []
        names = _category_names(categories, annotations, notes)
    except OSError as error:
        raise fault(file, f"split {name}", f"cannot be read ({error.strerror})", LOOK) from error
    except (ValueError, RecursionError) as error:  # json's own errors are ValueErrors
        kind = identify(file)[1]
        what = f"it is {kind}" if kind else f"is not COCO's JSON ({error})"
        raise fault(file, f"split {name}", what, "correct it") from error
    known, unique = _check_images(images, file, log)
    grouped = _group_annotations(annotations, known, file, log)
    return Split(name, file, folder, names, unique, grouped, notes, more)


def _table(tables: object, name: str) -> list[Entry]:
    """A table of the json file; ValueError where it is not a list of objects."""
    table = tables.get(name) if isinstance(tables, dict) else None
    if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
        raise ValueError(f"the table '{name}' is missing or is not a list of objects")
    return table


def _category_names(
    categories: Sequence[Entry], annotations: Sequence[Entry], notes: list[str]
) -> dict[int, str]:
    """Names by id; Roboflow's root category is left out, with a note."""
    root = _root_category(categories, annotations)
    if root is not None:
        notes.append(f"category '{root['name']}', the parent of all others, has no boxes: left out")
    kept = [category for category in categories if category is not root]
    ids = [whole_number(category.get("id"), "the id of a category") for category in kept]
    names = [string(category.get("name"), "the name of a category").strip() for category in kept]
    for what, twice in (("id", _repeated(ids)), ("name", _repeated(names))):
        if twice:
            raise ValueError(f"the {what} {min(twice)!r} is used twice in the table 'categories'")
    return dict(zip(ids, names, strict=True))


def _root_category(categories: Sequence[Entry], annotations: Sequence[Entry]) -> Entry | None:
    """The category that is the supercategory of all others, if no annotation is of it."""
    for category in categories:
        above = [
            other.get("supercategory") == category.get("name")
            for other in categories
            if other is not category
        ]
        if above and all(above) and category.get("name") is not None:
            used = any(a.get("category_id") == category.get("id") for a in annotations)
            return None if used else category
    return None


def _check_images(images: Sequence[Entry], file: str, log: FaultLog) -> tuple[set[Id], list[Entry]]:
    """All ids of images, and the images whose id no other has."""
    checked: list[Entry] = []
    for place, image in enumerate(images, 1):
        try:
            image["id"] = _image_id(image.get("id"), "its id")
        except ValueError as error:
            log.add(fault(file, f"image {place} of the table 'images'", str(error)))
        else:
            checked.append(image)
    twice = _repeated(image["id"] for image in checked)
    for image in checked:
        if image["id"] in twice:
            log.add(fault(file, f"image {image['id']}", "more than one image has this id"))
    unique = [image for image in checked if image["id"] not in twice]
    return {image["id"] for image in checked}, unique


def _group_annotations(
    annotations: Sequence[Entry], known: set[Id], file: str, log: FaultLog
) -> dict[Id, list[Entry]]:
    """Annotations by the id of their image, without those that have none or share their own id.

    Nothing refers to the id of an annotation: it may be missing or a string, and then is its place.
    """
    twice = _repeated(
        key for key in (a.get("id") for a in annotations) if isinstance(key, Hashable)
    ) - {None}
    grouped: dict[Id, list[Entry]] = defaultdict(list)
    for place, annotation in enumerate(annotations, 1):
        key = annotation.get("id")
        try:
            owner = _image_id(annotation.get("image_id"), "its image_id")
            if owner not in known:
                raise ValueError(f"there is no image {described(owner)}")
            is_number = not isinstance(key, str | None)
            annotation["id"] = whole_number(key, "its id") if is_number else place
            if key in twice:
                raise ValueError("more than one annotation has this id")
        except ValueError as error:
            name = f"annotation {place} of the table" if key is None else f"annotation {key}"
            log.add(fault(file, name, str(error)))
        else:
            grouped[owner].append(annotation)
    return dict(grouped)


def _image_id(value: Any, name: str) -> Id:
    """An image's id: an integer of 64 bits or a string; ValueError where it is neither."""
    return string(value, name) if isinstance(value, str) else whole_number(value, name)


def _repeated(values: Iterable[Any]) -> set[Any]:
    """The values that there are more than one of."""
    return {value for value, count in Counter(values).items() if count > 1}

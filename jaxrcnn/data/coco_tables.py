"""The json file of a split in COCO's format: its tables, with ids that are checked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.coco_annotations import Annotations, Entry, Id, Rows
from jaxrcnn.data.coco_file import parse_file
from jaxrcnn.data.coco_layouts import LOOK, locate
from jaxrcnn.data.errors import Invalid, fault
from jaxrcnn.data.foreign import identify
from jaxrcnn.data.values import INT64, described, string, whole_number

NO_IMAGE, SHARED_ID = -1, -2
"""Owners of annotations: of no image that there is, and of images that share their id."""

TWICE, NO_SUCH_IMAGE = "id-twice", "image-unknown"
"""Kinds of faults."""


class Owned(NamedTuple):
    """Annotations of the images of a split."""

    rows: Rows  # by column; their owners are places in `Split.images`
    odd: list[tuple[int, int, Entry]]  # place in the table, owner; "id" is an integer of 64 bits


class Split(NamedTuple):
    """One json file; its images have ids that are unique in it, its annotations are theirs."""

    name: str
    file: str
    folder: str  # of the images
    categories: dict[int, str]  # names by id
    images: list[Entry]  # "id" is an integer of 64 bits or a string
    annotations: Owned
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
        images, annotations, categories = parse_file(file)
        notes: list[str] = []
        names = _category_names(categories, annotations, notes)
    except OSError as error:
        raise fault(file, f"split {name}", f"cannot be read ({error.strerror})", LOOK) from error
    except (ValueError, RecursionError) as error:  # json's own errors are ValueErrors
        kind = identify(file)[1]
        what = f"it is {kind}" if kind else f"is not COCO's JSON ({error})"
        slug = getattr(error, "kind", "split-unreadable")
        raise fault(file, f"split {name}", what, "correct it", slug) from error
    known, unique = _check_images(images, file, log)
    owned = _find_owners(annotations, known, unique, file, log)
    return Split(name, file, folder, names, unique, owned, notes, more)


def _category_names(
    categories: Sequence[Entry], annotations: Annotations, notes: list[str]
) -> dict[int, str]:
    """Names by id; Roboflow's root category is left out, with a note."""
    root = _root_category(categories, annotations)
    if root is not None:
        notes.append(f"category '{root['name']}', the parent of all others, has no boxes: left out")
    kept = [category for category in categories if category is not root]
    ids = [whole_number(category.get("id"), "the id of a category") for category in kept]
    names = [string(category.get("name"), "the name of a category").strip() for category in kept]
    for what, twice, kind in (("id", ids, TWICE), ("name", names, "classes-alike")):
        if repeated := _repeated(twice):
            text = f"the {what} {min(repeated)!r} is used twice in the table 'categories'"
            raise Invalid(text, kind)
    return dict(zip(ids, names, strict=True))


def _root_category(categories: Sequence[Entry], annotations: Annotations) -> Entry | None:
    """The category that is the supercategory of all others, if no annotation is of it."""
    for category in categories:
        above = [
            other.get("supercategory") == category.get("name")
            for other in categories
            if other is not category
        ]
        if above and all(above) and category.get("name") is not None:
            used = any(key == category.get("id") for key in annotations.categories)
            return None if used else category
    return None


def name_image(image_id: Id, file_name: Any) -> str:
    """The name of an image in messages: ``image 139 (a.jpg)``, or ``image 139`` without a file."""
    named = isinstance(file_name, str) and file_name
    return f"image {image_id} ({file_name})" if named else f"image {image_id}"


def _check_images(images: Sequence[Entry], file: str, log: FaultLog) -> tuple[set[Id], list[Entry]]:
    """All ids of images, and the images whose id no other has."""
    checked: list[Entry] = []
    for place, image in enumerate(images, 1):
        try:
            image["id"] = _image_id(image.get("id"), "its id")
        except ValueError as error:
            log.add(fault(file, f"image {place} of the table 'images'", error), loses_image=True)
        else:
            checked.append(image)
    twice = _repeated(image["id"] for image in checked)
    for image in checked:
        if image["id"] in twice:
            what = "more than one image has this id"
            record = name_image(image["id"], image.get("file_name"))
            log.add(fault(file, record, what, kind=TWICE), loses_image=True)
    unique = [image for image in checked if image["id"] not in twice]
    return {image["id"] for image in checked}, unique


def _find_owners(
    annotations: Annotations, known: set[Id], images: Sequence[Entry], file: str, log: FaultLog
) -> Owned:
    """Annotations with their images, without those that have none or share their own id.

    Nothing refers to the id of an annotation: it may be missing or a string, and then is its place.
    """
    twice = annotations.repeated_ids()
    places = dict.fromkeys(known, SHARED_ID)
    places |= {image["id"]: place for place, image in enumerate(images)}
    rows, faults = _own_rows(annotations, places, twice)
    odd: list[tuple[int, int, Entry]] = []
    for place, entry in annotations.odd:
        try:
            odd.append((place, *_own_odd(entry, place, places, twice)))
        except ValueError as error:
            faults.append((place, entry.get("id"), error))
    for place, key, what in sorted(faults, key=lambda found: found[0]):
        name = f"annotation {place} of the table" if key is None else f"annotation {key}"
        log.add(fault(file, name, what))
    return Owned(rows, [entry for entry in odd if entry[1] >= 0])


Faulty = list[tuple[int, Any, str | ValueError]]
"""Place of an annotation in the table, its id as written, and what is wrong."""


def _own_rows(
    annotations: Annotations, places: dict[Id, int], twice: set[Any]
) -> tuple[Rows, Faulty]:
    """The rows of images, with their places, and what is wrong with others."""
    rows, ids = annotations.rows, annotations.owner_ids
    of_number = np.array([places.get(key, NO_IMAGE) for key in ids] or [NO_IMAGE], np.int64)
    owners = of_number[rows.owners]
    whole = [int(key) for key in twice if isinstance(key, int) or _is_whole(key)]
    numbers = np.array([key for key in whole if key in INT64], np.int64)
    repeated = rows.named & np.isin(rows.ids, numbers)
    faults: Faulty = []
    for row in np.flatnonzero((owners == NO_IMAGE) | repeated).tolist():
        what = Invalid("more than one annotation has this id", TWICE)
        if owners[row] == NO_IMAGE:
            what = Invalid(f"there is no image {described(ids[rows.owners[row]])}", NO_SUCH_IMAGE)
        key = int(rows.ids[row]) if rows.named[row] else None
        faults.append((int(rows.places[row]), key, what))
    kept = (owners >= 0) & ~repeated
    return rows._replace(owners=owners).take(kept), faults


def _is_whole(key: Any) -> bool:
    return isinstance(key, float) and key.is_integer()


def _own_odd(entry: Entry, place: int, places: dict[Id, int], twice: set[Any]) -> tuple[int, Entry]:
    """Place of an annotation's image, and the annotation with a number as its id."""
    key = entry.get("id")
    owner = _image_id(entry.get("image_id"), "its image_id")
    if owner not in places:
        raise Invalid(f"there is no image {described(owner)}", NO_SUCH_IMAGE)
    is_number = not isinstance(key, str | None)
    number = whole_number(key, "its id") if is_number else place
    if key in twice:
        raise Invalid("more than one annotation has this id", TWICE)
    return places[owner], {**entry, "id": number}


def _image_id(value: Any, name: str) -> Id:
    """An image's id: an integer of 64 bits or a string; ValueError where it is neither."""
    return string(value, name) if isinstance(value, str) else whole_number(value, name)


def _repeated(values: Iterable[Any]) -> set[Any]:
    """The values that there are more than one of."""
    return {value for value, count in Counter(values).items() if count > 1}

"""What the lists and XML files of Pascal VOC's format say."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import fault
from jaxrcnn.data.image_files import ImageFile, check_size
from jaxrcnn.data.images import ENDINGS
from jaxrcnn.data.text import read_text
from jaxrcnn.data.values import flag, whole_number

FLAGGED = re.compile(r"(.*\S)\s+(?:-1|0|1)")
"""A line of a list for one class: the name of an image, and whether it holds the class."""


class Listed(NamedTuple):
    """An image of a list."""

    image_id: int
    stem: str  # VOC's id
    file: str  # XML
    images: Mapping[str, str]  # paths of the image files in its folder, see `_images_in`


class Object(NamedTuple):
    """What is annotated once."""

    place: int  # in its file, from 1
    name: str
    corners: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax as written
    difficult: bool


class Page(NamedTuple):
    """What one XML file says."""

    image_id: int
    stem: str
    file: str
    image: ImageFile
    objects: list[Object]
    number: int  # of objects in the file, faulty ones too
    faults: list[str]  # a text for each object that cannot be understood


def list_pages(root: str, splits: Sequence[str], log: FaultLog) -> list[Listed]:
    """The images of all splits in order, numbered from 1; one that is listed twice goes to the log.

    Raises:
        DataError: a list cannot be read.
    """
    pages: list[Listed] = []
    seen: set[str] = set()
    folders: dict[str, dict[str, str]] = {}
    image_id = 0
    for split in splits:
        folder, name = os.path.split(split)
        folder = os.path.join(root, folder)
        list_file = os.path.join(folder, "ImageSets", "Main", f"{name}.txt")
        for line in _read_list(list_file, split):
            image_id += 1
            stem, file = _annotation_file(os.path.join(folder, "Annotations"), line)
            if file in seen:
                log.add(fault(list_file, f"image {stem}", "is listed twice"))
                continue
            seen.add(file)
            place = os.path.dirname(os.path.join(folder, "JPEGImages", stem))
            if place not in folders:
                folders[place] = _images_in(place)
            pages.append(Listed(image_id, stem, file, folders[place]))
    return pages


def _read_list(file: str, split: str) -> list[str]:
    """The lines of a list that are not blank, without blanks around."""
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "check data.root and the names of the splits"
        raise fault(file, f"split {split}", f"cannot be read ({error})", remedy) from error
    return [line.strip() for line in lines if line.strip()]


def _annotation_file(folder: str, line: str) -> tuple[str, str]:
    """VOC's id in a line and its XML file: all of the line, or what stands before a flag."""
    whole = os.path.join(folder, f"{line}.xml")
    flagged = FLAGGED.fullmatch(line)
    if flagged is None or os.path.isfile(whole):
        return line, whole
    return flagged[1], os.path.join(folder, f"{flagged[1]}.xml")


def _images_in(folder: str) -> dict[str, str]:
    """Paths of the image files in a folder by their names, with endings in lower case."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    found = {}
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending.lower() in ENDINGS:
            found.setdefault(stem + ending.lower(), os.path.join(folder, name))
    return found


def read_page(listed: Listed, max_pixels: int) -> Page:
    """Read an XML file, and look at its image.

    Raises:
        ValueError: the page, or the size of the image, cannot be understood, or the image is
            missing or unreadable.
    """
    try:
        page = ElementTree.parse(listed.file).getroot()
    except OSError as error:
        raise ValueError(f"the annotation cannot be read ({error.strerror})") from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"the annotation is not XML ({error})") from error
    if page.tag != "annotation":
        raise ValueError(f"it holds <{page.tag}> and not VOC's <annotation>")
    height, width = (_side(page, name) for name in ("height", "width"))
    image = check_size(_image_file(listed), height, width, max_pixels)
    objects, faults = [], []
    items = page.findall("object")
    for place, item in enumerate(items, 1):
        try:
            objects.append(_read_object(item, place))
        except ValueError as error:
            faults.append(f"object {place}: {error}")
    return Page(listed.image_id, listed.stem, listed.file, image, objects, len(items), faults)


def _image_file(listed: Listed) -> str:
    """Path of an image, whatever kind it is of."""
    name = os.path.basename(listed.stem)
    for ending in ENDINGS:
        if name + ending in listed.images:
            return listed.images[name + ending]
    folder = os.path.join(os.path.dirname(os.path.dirname(listed.file)), "JPEGImages")
    path = os.path.join(folder, listed.stem)
    raise ValueError(f"the image file is missing: {path} with any of {' '.join(ENDINGS)}")


def _side(page: ElementTree.Element, name: str) -> int | None:
    """An annotated height or width in pixels; None where it is missing, which tools write as 0."""
    written = (page.findtext(f"size/{name}") or "0").strip()
    try:
        side = whole_number(float(written), name)
    except ValueError as error:
        raise ValueError(f"{name} is '{written}', not pixels") from error
    if side < 0:
        raise ValueError(f"{name} is {side}, which is no size of an image")
    return side or None


def _read_object(item: ElementTree.Element, place: int) -> Object:
    """What an object says; ValueError where it cannot be understood."""
    name = (item.findtext("name") or "").strip()
    if not name:
        raise ValueError("it has no name")
    written = [item.findtext(f"bndbox/{key}", "") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = (float(corner) for corner in written)
    except ValueError as error:
        raise ValueError(f"bndbox of '{name}' is {written}, not four numbers") from error
    difficult = flag(item.findtext("difficult") or None, f"difficult of '{name}'")
    return Object(place, name, (xmin, ymin, xmax, ymax), difficult)

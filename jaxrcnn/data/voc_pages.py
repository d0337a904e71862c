"""What the lists and XML files of Pascal VOC's format say."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import UNREADABLE, Invalid, fault
from jaxrcnn.data.folders import list_folder
from jaxrcnn.data.foreign import ROOTS
from jaxrcnn.data.image_files import ImageFile, check_size
from jaxrcnn.data.image_names import is_image, lower_ending
from jaxrcnn.data.images import ENDINGS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.text import read_text
from jaxrcnn.data.values import flag, whole_number
from jaxrcnn.data.voc_layouts import Unlisted, find_list, find_unlisted, listed_images
from jaxrcnn.opening import read_bytes

FLAGGED = re.compile(r"(.*\S)\s+(?:-1|0|1)")
"""A line of a list for one class: the name of an image, and whether it holds the class."""


class Listed(NamedTuple):
    """An image of a split."""

    image_id: int
    stem: str  # VOC's id
    file: str  # XML
    images: Mapping[str, str]  # paths of the image files in its folders, see `_images_in`
    folder: str  # where its image should be


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
    image_id = 0
    for split in splits:
        for page in _pages_of(root, split):
            image_id += 1
            if page.file in seen:
                file, record = find_list(root, split), f"image {page.stem}"
                log.add(fault(file, record, "is listed twice", kind="image-listed-twice"))
                continue
            seen.add(page.file)
            pages.append(page._replace(image_id=image_id))
    return pages


def _pages_of(root: str, split: str) -> Iterator[Listed]:
    """The images of a split in order; their ids are still 0."""
    unlisted = find_unlisted(root, split)
    return _all_pages(unlisted) if unlisted else _listed_pages(root, split)


def _listed_pages(root: str, split: str) -> Iterator[Listed]:
    base = os.path.join(root, os.path.dirname(split))
    folder = listed_images(base)
    images: dict[str, dict[str, str]] = {}
    for line in _read_list(root, split):
        stem, file = _annotation_file(os.path.join(base, "Annotations"), line)
        place = os.path.dirname(os.path.join(folder, stem))
        if place not in images:
            images[place] = _images_in(place)
        yield Listed(0, stem, file, images[place], folder)


def _all_pages(split: Unlisted) -> Iterator[Listed]:
    images = {
        name: path for place in reversed(split.images) for name, path in _images_in(place).items()
    }
    for name in list_folder(split.folder).ending(".xml"):
        file = os.path.join(split.folder, name)
        yield Listed(0, os.path.splitext(name)[0], file, images, split.images[-1])


def _read_list(root: str, split: str) -> list[str]:
    """The lines of a list that are not blank, without blanks around."""
    try:
        lines = read_text(find_list(root, split)).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        file, remedy = find_list(root, split), "check data.root and the names of the splits"
        raise fault(file, f"split {split}", f"cannot be read ({error})", remedy) from error
    return [line.strip() for line in lines if line.strip()]


def _annotation_file(folder: str, line: str) -> tuple[str, str]:
    """VOC's id in a line and its XML file: the line, or what stands before an ending or a flag."""
    whole = os.path.join(folder, f"{line}.xml")
    stem = os.path.splitext(line)[0]
    if is_image(line) and not os.path.isfile(whole):
        return stem, os.path.join(folder, f"{stem}.xml")
    flagged = FLAGGED.fullmatch(line)
    if flagged is None or os.path.isfile(whole):
        return line, whole
    return flagged[1], os.path.join(folder, f"{flagged[1]}.xml")


def _images_in(folder: str) -> dict[str, str]:
    """Paths of the image files in a folder by their names, with endings in lower case."""
    found = {}
    for name in filter(is_image, list_folder(folder).files):
        found.setdefault(lower_ending(name), os.path.join(folder, name))
    return found


def read_page(listed: Listed, max_pixels: int, inside: Inside) -> Page:
    """Read an XML file, and look at its image.

    Raises:
        ValueError: the page, or the size of the image, cannot be understood, or the image is
            missing or unreadable.
    """
    page = _read_xml(listed.file)
    if page.tag != "annotation":
        kind = f": {ROOTS[page.tag]}" if page.tag in ROOTS else ""
        what = f"its root element is <{page.tag}>, not VOC's <annotation>{kind}"
        raise Invalid(what, UNREADABLE)
    height, width = (_side(page, name) for name in ("height", "width"))
    image = check_size(inside.check(_image_file(listed, page)), height, width, max_pixels)
    objects, faults = [], []
    items = page.findall("object")
    for place, item in enumerate(items, 1):
        try:
            objects.append(_read_object(item, place))
        except ValueError as error:
            faults.append(f"object {place}: {error}")
    return Page(listed.image_id, listed.stem, listed.file, image, objects, len(items), faults)


def _read_xml(file: str) -> ElementTree.Element:
    """The root element of a file.

    Raises:
        ValueError: it cannot be read, is not XML, or declares entities.
    """
    try:
        content = read_bytes(file)
    except OSError as error:
        what = f"the annotation cannot be read ({error.strerror})"
        raise Invalid(what, UNREADABLE) from error
    if b"<!ENTITY" in content.replace(b"\0", b""):  # UTF-16 has zeros
        raise Invalid("the annotation declares entities, which are not read", UNREADABLE)
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise Invalid(f"the annotation is not XML ({error})", UNREADABLE) from error


def _image_file(listed: Listed, page: ElementTree.Element) -> str:
    """Path of an image, whatever kind it is of: of the XML file's name, or of what the file says.

    Its <folder> and <path> are of the machine on which it was written.
    """
    name = os.path.basename(listed.stem)
    for ending in ENDINGS:
        if name + ending in listed.images:
            return listed.images[name + ending]
    written = os.path.basename((page.findtext("filename") or "").replace("\\", "/").strip())
    if lower_ending(written) in listed.images:
        return listed.images[lower_ending(written)]
    path = os.path.join(listed.folder, listed.stem)
    what = f"the image file is missing: {path} with any of {' '.join(ENDINGS)}"
    raise Invalid(what, "image-missing")


def _side(page: ElementTree.Element, name: str) -> int | None:
    """An annotated height or width in pixels; None where it is missing, which tools write as 0."""
    written = (_text_in(page, "size", name) or "0").strip()
    try:
        side = whole_number(float(written), name)
    except ValueError as error:
        raise ValueError(f"{name} is '{written}', not pixels") from error
    if side < 0:
        raise ValueError(f"{name} is {side}, which is not a valid image size")
    return side or None


def _read_object(item: ElementTree.Element, place: int) -> Object:
    """What an object says; ValueError where it cannot be understood."""
    name = (item.findtext("name") or "").strip()
    if not name:
        raise ValueError("it has no name")
    written = [_text_in(item, "bndbox", key) or "" for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = (float(corner) for corner in written)
    except ValueError as error:
        raise ValueError(f"bndbox of '{name}' is {written}, not four numbers") from error
    difficult = flag(item.findtext("difficult") or None, f"difficult of '{name}'")
    return Object(place, name, (xmin, ymin, xmax, ymax), difficult)


def _text_in(item: ElementTree.Element, outer: str, inner: str) -> str | None:
    """`item.findtext("outer/inner")`, which is a program in Python where it has a path."""
    element = item.find(outer)
    text = None if element is None else element.findtext(inner)
    return item.findtext(f"{outer}/{inner}") if text is None else text

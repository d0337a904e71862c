"""Annotation files that are recognised and cannot be read: what they are, and what to export."""

import os
import re
import xml.etree.ElementTree as ElementTree
from typing import Literal

from jaxrcnn.data.text import BEGINNING, read_ends
from jaxrcnn.opening import open_file

COCO_TABLE = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')

Kinds = tuple[tuple[tuple[str, ...], str], ...]
"""Keys that all occur in a JSON text, and what it is."""

LISTS: Kinds = (
    (
        ("image_id", "category_id"),
        "COCO's results (detections without images and categories); use the annotation file that "
        "they belong to",
    ),
    (("rectanglelabels",), "Label Studio's JSON; export as COCO"),
    (("data", "annotations"), "Label Studio's JSON; export as COCO"),
    (("image", "coordinates"), "CreateML's JSON; export as COCO"),
    (("labels", "box2d"), "BDD100K's JSON; convert it to COCO"),
)
"""JSON lists."""

SUPERVISELY = "Supervisely's JSON; export as COCO, YOLO or Pascal VOC"
OBJECTS: Kinds = (
    (("shape_attributes",), "VIA's JSON; export annotations as COCO"),
    (("_via_settings",), "VIA's JSON; export annotations as COCO"),
    (("shapes", "imagePath"), "LabelMe's JSON; convert it to COCO, for example with labelme2coco"),
    (("caption",), "COCO's captions, which have no boxes"),
    (("classes", "projectType"), SUPERVISELY),
    (("classTitle", "geometryType"), SUPERVISELY),
    (("labels", "bounding_box"), "FiftyOne's JSON; export as COCODetectionDataset"),
)
"""JSON objects; one that has "bbox" may be COCO's nevertheless."""

MARKS = (
    (re.compile(r'"categories"\s*:\s*\{'), "Datumaro's JSON; export as COCO"),
    (re.compile(r'"(schema_ref|slots)"\s*:'), "Darwin's JSON (V7); export as COCO"),
)
"""What no JSON object of COCO has."""

ROOTS = {"annotations": "CVAT's XML; export as COCO 1.0"}
"""XML files by their outermost element."""

MOST = 50
"""Files of a folder that are looked into."""

Known = Literal["coco", "voc", ""]


def identify(path: str) -> tuple[Known, str]:
    """What an annotation file is, by its first and last few thousand bytes.

    Returns:
        "coco" or "voc" where it can be read, and otherwise what it is and what to do; both are ""
        where that is unknown.
    """
    try:
        if path.lower().endswith(".xml"):
            return _of_xml(path)
        return _of_json(read_ends(path), os.path.getsize(path) <= BEGINNING)
    except (OSError, ValueError, LookupError, ElementTree.ParseError):
        return "", ""


def _of_xml(path: str) -> tuple[Known, str]:
    with open_file(path) as stream:
        for _, element in ElementTree.iterparse(stream, ("start",)):
            return ("voc", "") if element.tag == "annotation" else ("", ROOTS.get(element.tag, ""))
    return "", ""


def _of_json(text: str, whole: bool) -> tuple[Known, str]:
    """What a JSON file is, by its ends or the whole of it."""
    if text.lstrip().startswith("["):
        return "", _named(LISTS, text)
    marked = [what for mark, what in MARKS if mark.search(text)]
    what = marked[0] if marked else "" if '"bbox"' in text else _named(OBJECTS, text)
    if what:
        return "", what
    tables = {*COCO_TABLE.findall(text)}
    # Label Studio writes categories alone into notes.json, beside YOLO's files.
    is_coco = tables if not whole else tables - {"categories"}
    return ("coco", "") if is_coco else ("", "")


def _named(kinds: Kinds, text: str) -> str:
    """The first kind whose keys all occur in a text; "" where there is none."""
    found = (what for keys, what in kinds if all(f'"{key}"' in text for key in keys))
    return next(found, "")

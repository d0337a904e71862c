"""Annotation files that are recognised and cannot be read: what they are, and what to export."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Literal

from jaxrcnn.data.folders import list_folder
from jaxrcnn.data.text import read_ends

COCO_TABLE = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')

LISTS = (
    (
        ("image_id", "category_id"),
        "COCO's results (detections without images and categories); use the annotation file that "
        "they belong to",
    ),
    (("rectanglelabels",), "Label Studio's JSON; export as COCO"),
    (("data", "annotations"), "Label Studio's JSON; export as COCO"),
    (("image", "coordinates"), "CreateML's JSON; export as COCO"),
)
"""JSON lists: keys that all occur in one, and what it is."""

OBJECTS = (
    (("shape_attributes",), "VIA's JSON; export annotations as COCO"),
    (("_via_settings",), "VIA's JSON; export annotations as COCO"),
    (("shapes", "imagePath"), "LabelMe's JSON; convert it to COCO, for example with labelme2coco"),
    (("caption",), "COCO's captions, which have no boxes"),
)
"""JSON objects, in the same way."""

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
        return _of_xml(path) if path.lower().endswith(".xml") else _of_json(read_ends(path))
    except (OSError, ValueError, LookupError, ElementTree.ParseError):
        return "", ""


def _of_xml(path: str) -> tuple[Known, str]:
    for _, element in ElementTree.iterparse(path, ("start",)):
        return ("voc", "") if element.tag == "annotation" else ("", ROOTS.get(element.tag, ""))
    return "", ""


def _of_json(text: str) -> tuple[Known, str]:
    kinds = LISTS if text.lstrip().startswith("[") else OBJECTS
    for keys, what in kinds:
        if all(f'"{key}"' in text for key in keys) and (kinds is LISTS or '"bbox"' not in text):
            return "", what
    if kinds is OBJECTS and COCO_TABLE.search(text):
        return "coco", ""
    return "", ""


def find_foreign(root: str) -> Iterator[tuple[str, str]]:
    """Recognised files that cannot be read, at the top of a folder or one folder deeper.

    Yields:
        The path of one file of each kind, and what it is and what to do.
    """
    said = set()
    for folder in (root, *(os.path.join(root, name) for name in list_folder(root).folders)):
        for name in list_folder(folder).ending(".json", ".xml")[:MOST]:
            what = identify(os.path.join(folder, name))[1]
            if what and what not in said:
                said.add(what)
                yield os.path.join(folder, name), what

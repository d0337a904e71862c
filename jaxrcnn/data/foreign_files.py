"""Files in a folder without a data set that are recognised: what they are, and what to do."""

import os
import re
from collections.abc import Iterator
from itertools import islice

from jaxrcnn.data.errors import quoted
from jaxrcnn.data.folders import list_folder, walk
from jaxrcnn.data.foreign import MOST, identify
from jaxrcnn.data.table_columns import has_boxes
from jaxrcnn.data.table_sheet import ENDINGS as TABLES
from jaxrcnn.data.table_sheet import peek_header
from jaxrcnn.data.text import read_ends

BY_NAME = (
    (re.compile(r"\.(zip|tar|t?gz|bz2|xz|7z|rar)$"), "an archive; unpack it first"),
    (re.compile(r"\.tfrecords?\b|\.record$"), "TensorFlow's TFRecord; export as COCO, YOLO or VOC"),
    (re.compile(r"\.manifest$"), "SageMaker's manifest; convert it to COCO"),
    (re.compile(r"\.(xlsx?|ods)$"), "a spreadsheet; save it as CSV"),
    (re.compile(r"\.odgt$"), "CrowdHuman's annotations; convert them to COCO"),
    (re.compile(r"\.ndjson$"), "Labelbox's or Ultralytics' NDJSON; export as COCO or YOLO"),
    (
        re.compile(r"\.jsonl$"),
        "JSON Lines without objects of Hugging Face's imagefolder; export as COCO, YOLO or VOC",
    ),
    (re.compile(r"\.hei[cf]$"), "a HEIC image, which cannot be read; convert such images to JPEG"),
)
"""Patterns of names in lower case, and what such a file is."""

VISDRONE = re.compile(r"(-?\d+,){7}-?\d+,?")
KITTI = re.compile(r"[A-Za-z_]+(\s+-?[\d.]+){14,15}")
DOTA = re.compile(r"imagesource:.*|([\d.]+\s+){8}[^\d\s]\S*\s+\d")
YOLO = re.compile(r"\d+(\s+[\d.]+){4,}")
TEXTS = (
    (VISDRONE, "VisDrone's text; convert it to COCO or YOLO"),
    (KITTI, "KITTI's text; convert it to COCO or YOLO"),
    (DOTA, "DOTA's text, whose oriented boxes are not supported; convert them to upright ones"),
    (
        YOLO,
        "a label file of YOLO; the images belong beside such files, or in images/ beside labels/, "
        "and the names of the classes, one a line, into classes.txt",
    ),
)
"""The first line of text files."""

DEPTH = 2
FOLDERS = 50
"""Folders of a folder that are looked into, and how deep."""


def find_foreign(root: str) -> Iterator[tuple[str, str]]:
    """Recognised files that are no data set, in a folder and those in it.

    Yields:
        The path of one file of each kind, and what it is and what to do.
    """
    said = set()
    for folder, _ in islice(walk(root, DEPTH), FOLDERS):
        for name in list_folder(folder).files[:MOST]:
            what = what_is(os.path.join(folder, name))
            if what and what not in said:
                said.add(what)
                yield os.path.join(folder, name), what


def what_is(path: str) -> str:
    """What a file is and what to do; "" where that is unknown."""
    name = os.path.basename(path).lower()
    for pattern, what in BY_NAME:
        if pattern.search(name):
            return what
    if name.endswith((".json", ".xml")):
        return identify(path)[1]
    if name.endswith(TABLES):
        return _of_table(path)
    return _of_text(path) if name.endswith(".txt") else ""


def _of_table(path: str) -> str:
    header = peek_header(path)
    if header is None:
        needs = "Parquet, which requires pyarrow: pip install 'jaxrcnn[parquet]'"
        return needs if path.lower().endswith(".parquet") else ""
    if has_boxes(header):
        return ""
    plain = {name.strip().lower() for name in header}
    if path.lower().endswith(".parquet") and "image" in plain:
        return (
            "Parquet with images in it, as Hugging Face stores data sets; save the images as files "
            "and their boxes in metadata.jsonl"
        )
    if "region_shape_attributes" in plain:
        return "VIA's CSV; export annotations as COCO"
    if {"annotation_id", "annotator"} <= plain:
        return "Label Studio's CSV; export as COCO"
    if os.path.basename(path) == "_classes.csv":
        return "Roboflow's classes of whole images, which have no boxes"
    return (
        f"a table without known columns of boxes, it has {quoted(header)}; say which they are with "
        "--config.data.columns, such as image=COLUMN label=COLUMN xmin=COLUMN ymin=COLUMN "
        "xmax=COLUMN ymax=COLUMN"
    )


def _of_text(path: str) -> str:
    try:
        lines = read_ends(path).split("\n", 1)
    except OSError:
        return ""
    return next((what for kind, what in TEXTS if kind.fullmatch(lines[0].strip()[:4000])), "")

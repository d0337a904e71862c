"""Pascal VOC's format: one XML file an image, corners 1-based and inclusive, splits as lists."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxrcnn.data.checks import FaultLog, check_boxes, check_image, check_size
from jaxrcnn.data.errors import fault
from jaxrcnn.data.records import Dataset, Record, make_record

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class _Page(NamedTuple):
    """What one XML file says."""

    image_id: int
    stem: str  # VOC's id
    annotation_file: str
    image_file: str
    height: int
    width: int
    names: list[str]
    boxes: np.ndarray  # (G, 4) float32
    cut: int
    difficult: list[bool]


def read_voc(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    keep_difficult: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
) -> Dataset:
    """Open splits of a folder in Pascal VOC's format as one data set.

    Args:
        root: the folder that holds Annotations/, ImageSets/Main/ and JPEGImages/.
        splits: names of lists in ImageSets/Main, in this order; "VOC2007/trainval" is the list
            trainval of the folder VOC2007 below the root.
        classes: class names in the order of their labels; empty takes VOC's twenty, or the names
            found in these splits, sorted, where others than the twenty are among them.
        keep_difficult: train on objects marked difficult instead of ignoring them.
        on_error: what to do with a faulty record: stop, or leave it out and note it.

    Returns:
        The data set; image ids and annotation ids count from 1 along the lists. A box one pixel
        wide has xmin = xmax in the file and x1 = x0 + 1 here.

    Raises:
        DataError: a list cannot be read; with on_error "raise" also a faulty record.
    """
    log = FaultLog(on_error)
    pages = _read_pages(root, splits, log)
    found = {name for page in pages for name in page.names}
    names = tuple(classes) or (VOC_CLASSES if found <= set(VOC_CLASSES) else tuple(sorted(found)))
    labels = {name: label for label, name in enumerate(names, 1)}
    records: list[Record] = []
    cut = objects = 0
    for page in pages:
        first_id = objects + 1
        objects += len(page.names)
        try:
            records.append(_make_record(page, labels, first_id, keep_difficult))
        except ValueError as error:
            log.add(fault(page.annotation_file, f"image {page.stem}", str(error)))
            continue
        cut += page.cut
    return Dataset(
        name="+".join(splits),
        records=tuple(records),
        class_names=names,
        category_ids=tuple(range(1, len(names) + 1)),
        skipped=tuple(log.lines),
        clipped=cut,
    )


def _make_record(
    page: _Page, labels: dict[str, int], first_id: int, keep_difficult: bool
) -> Record:
    """The record of a page, its annotations counted from `first_id`; ValueError names the fault."""
    for name in page.names:
        if name not in labels:
            raise ValueError(f"the name '{name}' is not among the classes {', '.join(labels)}")
    return make_record(
        page.image_id,
        page.stem,
        page.image_file,
        (page.height, page.width),
        page.boxes,
        [labels[name] for name in page.names],
        range(first_id, first_id + len(page.names)),
        difficult=page.difficult,
        keep_difficult=keep_difficult,
    )


def _read_pages(root: str, splits: Sequence[str], log: FaultLog) -> list[_Page]:
    """The pages of all splits in order; faulty ones go to the log."""
    pages: list[_Page] = []
    seen: set[tuple[str, str]] = set()
    image_id = 0
    for split in splits:
        folder, name = os.path.split(split)
        folder = os.path.join(root, folder)
        list_file = os.path.join(folder, "ImageSets", "Main", f"{name}.txt")
        for stem in _read_list(list_file, split):
            image_id += 1
            if (folder, stem) in seen:
                log.add(fault(list_file, f"image {stem}", "is listed twice"))
                continue
            seen.add((folder, stem))
            file = os.path.join(folder, "Annotations", f"{stem}.xml")
            try:
                pages.append(_read_page(folder, image_id, stem, file))
            except ValueError as error:
                log.add(fault(file, f"image {stem}", str(error)))
    return pages


def _read_list(file: str, split: str) -> list[str]:
    """The ids of a list: the first word of each line."""
    try:
        with open(file, encoding="utf-8") as stream:
            return [line.split()[0] for line in stream if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        remedy = "check data.root and the names of the splits"
        raise fault(file, f"split {split}", f"cannot be read ({error})", remedy) from error


def _read_page(folder: str, image_id: int, stem: str, file: str) -> _Page:
    """Parse and check one XML file; ValueError names the fault."""
    try:
        page = ElementTree.parse(file).getroot()
    except OSError as error:
        raise ValueError(f"the annotation cannot be read ({error.strerror})") from error
    except ElementTree.ParseError as error:
        raise ValueError(f"the annotation is not XML ({error})") from error
    image_file = _image_file(folder, stem)
    height, width = _size(page, image_file)
    objects = page.findall("object")
    names = [(item.findtext("name") or "").strip() for item in objects]
    spoken = [f"object {place}, '{name}'," for place, name in enumerate(names, 1)]
    corners = np.array([_corners(item) for item in objects], np.float64).reshape(-1, 4)  # (G, 4)
    boxes, cut = check_boxes(corners, height, width, spoken)
    difficult = [(item.findtext("difficult") or "0").strip() == "1" for item in objects]
    return _Page(image_id, stem, file, image_file, height, width, names, boxes, cut, difficult)


def _image_file(folder: str, stem: str) -> str:
    """Path of an image, whatever its extension."""
    files = [os.path.join(folder, "JPEGImages", stem + extension) for extension in EXTENSIONS]
    return next((file for file in files if os.path.isfile(file)), files[0])


def _size(page: ElementTree.Element, image_file: str) -> tuple[int, int]:
    """Height and width as annotated, or from the image's header where they are missing."""
    check_image(image_file)
    texts = [(page.findtext(f"size/{side}") or "0").strip() for side in ("height", "width")]
    if all(text.isdigit() for text in texts):
        height, width = (int(text) for text in texts)
    else:
        raise ValueError(f"height and width are {' and '.join(texts)}, not pixels")
    if height == 0 or width == 0:
        width, height = _header_size(image_file)
    return check_size(height, width)


def _header_size(image_file: str) -> tuple[int, int]:
    """Width and height that the header of an image tells."""
    from PIL import Image

    try:
        with Image.open(image_file) as image:
            return image.size
    except OSError as error:
        raise ValueError(f"the image cannot be decoded ({error})") from error


def _corners(item: ElementTree.Element) -> tuple[float, float, float, float]:
    """The box of an object, from 1-based inclusive corners to continuous coordinates."""
    texts = [item.findtext(f"bndbox/{key}", "") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = (float(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"bndbox is {texts}, not four numbers") from error
    return xmin - 1, ymin - 1, xmax, ymax

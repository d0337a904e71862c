"""Pascal VOC's format: one XML file an image, corners 1-based and inclusive, splits as lists."""

import functools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from jaxrcnn.data.checked import BadBox, Boxed, make_records
from jaxrcnn.data.checks import NORMALISED, FaultLog, are_normalised
from jaxrcnn.data.errors import fault, quoted
from jaxrcnn.data.image_files import look_at
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.records import Dataset, Record, read_file
from jaxrcnn.data.voc_layouts import Unlisted, find_split, find_unlisted, spare_images
from jaxrcnn.data.voc_pages import Object, Page, list_pages, read_page
from jaxrcnn.wording import counted

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


def read_voc(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    keep_difficult: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    one_based: bool = True,
    max_pixels: int = MAX_PIXELS,
    image_roots: Sequence[str] = (),
) -> Dataset:
    """Open splits of a folder in Pascal VOC's format as one data set.

    Args:
        root: the folder that holds Annotations/, ImageSets/Main/ and JPEGImages/, or XML files in
            another of the layouts that `find_splits` knows.
        splits: names of lists in ImageSets/Main, in this order; "VOC2007/trainval" is the list
            trainval of the folder VOC2007 below the root. Without lists, folders of XML files.
        classes: class names in the order of their labels; boxes of others are left out and
            counted. Empty takes VOC's twenty, or the names found in these splits, sorted, where
            others than the twenty are among them or there are no lists.
        keep_difficult: train on objects marked difficult instead of ignoring them.
        on_error: what to do with a faulty image or box: stop, or leave it out and note it.
        one_based: coordinates count pixels from 1 and xmax and ymax are part of the box, so that
            a box one pixel wide has xmin = xmax in the file and x1 = x0 + 1 here. Otherwise they
            are continuous, from 0, and are taken as they are.
        max_pixels: height times width of the largest image that is read.
        image_roots: folders besides the root that images may be in.

    Returns:
        The data set; image ids and annotation ids count from 1 along the lists.

    Raises:
        DataError: a split is missing or its list cannot be read; with on_error "raise" also a
            faulty image or box.
    """
    log, inside = FaultLog(on_error), Inside([root, *image_roots])
    chosen = [find_split(root, split) for split in splits]
    listed = list_pages(root, chosen, log)
    read = look_at(listed, lambda page: read_page(page, max_pixels, inside))
    pages: list[Page] = []
    for entry, page in zip(listed, read, strict=True):
        if isinstance(page, ValueError):
            log.add(fault(entry.file, f"image {entry.stem}", page), loses_image=True)
        else:
            pages.append(page)
    found = {item.name for page in pages for item in page.objects}
    unlisted = [place for split in chosen if (place := find_unlisted(root, split))]
    names = tuple(classes) or _name_classes(found, bool(unlisted))
    labels = {name: label for label, name in enumerate(names, 1)}
    counts: Counter[str] = Counter()
    boxed = _boxed(pages, labels, one_based, counts)
    records, good = make_records(boxed, log, counts, keep_difficult)
    if one_based:
        counts["not one-based"] = int(_not_one_based(pages, labels)[good].sum())
    return Dataset(
        name="+".join(splits),
        records=records,
        class_names=names,
        category_ids=tuple(range(1, len(names) + 1)),
        reader=functools.partial(read_file, max_pixels=max_pixels),
        skipped=tuple(log.lines),
        faults=tuple(log.faults),
        lost_images=log.lost_images,
        clipped=counts["cut"],
        other_boxes=counts["other"],
        empty_boxes=counts["empty"],
        notes=(
            *_absent(classes, found),
            *_notes(records, counts),
            *_unannotated(unlisted, {page.image.path for page in pages}),
        ),
        source_classes=tuple(sorted(found)),
    )


def _name_classes(found: set[str], unlisted: bool) -> tuple[str, ...]:
    """VOC's twenty classes, or the names that were found where there are others or no lists."""
    if found <= set(VOC_CLASSES) and not unlisted:
        return VOC_CLASSES
    return tuple(sorted(found))


def _unannotated(splits: Sequence[Unlisted], used: set[str]) -> list[str]:
    """A note where images of splits without lists have no XML file."""
    number = sum(spare_images(split, used) for split in splits)
    return [f"{counted(number, 'image')} without an XML file left out"] if number else []


def _boxed(
    pages: Iterable[Page], labels: dict[str, int], one_based: bool, counts: Counter[str]
) -> Iterator[Boxed]:
    """The images with their objects of some classes; those of others are counted.

    Annotation ids count from 1 along the objects of all pages.
    """
    for page in pages:
        first_id = counts["objects"] + 1
        counts["objects"] += page.number
        record = f"image {page.stem}"
        objects = [item for item in page.objects if item.name in labels]
        counts["other"] += len(page.objects) - len(objects)
        yield Boxed(
            page.image_id,
            page.stem,
            page.image,
            page.file,
            [BadBox(record, what) for what in page.faults],
            [(x0 - one_based, y0 - one_based, x1, y1) for _, _, (x0, y0, x1, y1), _ in objects],
            [labels[item.name] for item in objects],
            [first_id + item.place - 1 for item in objects],
            [item.difficult for item in objects],
            functools.partial(_describe, record, objects),
        )


def _describe(record: str, objects: Sequence[Object], place: int) -> tuple[str, str]:
    return record, f"object {objects[place].place}, '{objects[place].name}': "


def _not_one_based(pages: Iterable[Page], labels: Container[str]) -> np.ndarray:
    """Which boxes have a coordinate that counting pixels from 1 does not give, (B,) bool."""
    written = [item.corners for page in pages for item in page.objects if item.name in labels]
    corners = np.array(written, np.float64).reshape(-1, 4)  # (B, 4)
    return ((corners != np.floor(corners)) | (corners < 1)).any(axis=1)


def _absent(classes: Sequence[str], found: set[str]) -> list[str]:
    """A note where no object has the name of a class."""
    absent = [name for name in classes if name not in found]
    if not absent:
        return []
    return [f"no class is named {quoted(absent)} (the classes are {quoted(sorted(found))})"]


def _notes(records: Sequence[Record], counts: Counter[str]) -> list[str]:
    """What there is to say of the boxes of a data set."""
    notes = []
    if counts["not one-based"]:
        notes.append(
            f"{counted(counts['not one-based'], 'box', 'boxes')} with coordinates that are "
            "fractional or below 1 (if they count from 0, set data.voc_one_based=False)"
        )
    if are_normalised(record.boxes for record in records):
        notes.append(NORMALISED)
    return notes

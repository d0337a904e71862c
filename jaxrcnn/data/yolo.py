"""YOLO's format: one text file an image, boxes as centre and sides in shares of the image."""

import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

from jaxrcnn.data.annotated import Page, look_at_listed, make_dataset, not_text
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import UNREADABLE, DataError, Invalid, fault, quoted
from jaxrcnn.data.folders import list_folder, what_is_there
from jaxrcnn.data.image_files import check_size
from jaxrcnn.data.image_index import ImageIndex
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.splits import choose_split
from jaxrcnn.data.text import read_text
from jaxrcnn.data.yolo_description import Description
from jaxrcnn.data.yolo_images import (
    Listed,
    absent_splits,
    label_file,
    list_images,
    named_folders,
)
from jaxrcnn.data.yolo_labels import Labels, are_oriented, parse_labels
from jaxrcnn.data.yolo_layouts import (
    NAME_FILES,
    OTHER_NAME_FILES,
    describe_folders,
    find_description_files,
    find_folders,
    read_description,
    splits_of_file,
)
from jaxrcnn.wording import counted


class _Labelled(NamedTuple):
    """An image, and what its label file says; None where it has none."""

    page: Page
    labels: Labels | None


def find_splits(root: str) -> dict[str, str]:
    """The splits of a folder in YOLO's format, each with the file or folder that says so.

    Empty where the folder is not of this format. No image and no label file is read to its end.
    """
    files = find_description_files(root)
    name = os.path.basename(files[0]) if files else ""
    try:
        description = read_description(files[0]) if files else None
    except DataError:  # its reader says so
        return dict.fromkeys(splits_of_file(files[0]), name)
    if description is None or not description.splits:
        folders = find_folders(root).items()
        return {split: "*.txt" if place == "." else place for split, place in folders}
    absent = absent_splits(root, description)
    return dict.fromkeys((split for split in description.splits if split not in absent), name)


def read_yolo(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
    max_pixels: int = MAX_PIXELS,
    image_roots: Sequence[str] = (),
) -> Dataset:
    """Open splits of a folder in YOLO's format as one data set.

    Args:
        root: the folder with data.yaml, darknet's obj.data, or images/ and labels/; docs/data.md
            lists the layouts.
        splits: names of the splits, in this order.
        classes: class names in the order of their labels; boxes of others are left out and
            counted. Empty takes all, by ascending number.
        on_error: what to do with a faulty image or box: stop, or leave it out and note it.
        max_pixels: height times width of the largest image that is read.
        image_roots: folders besides the root that images may be in.

    Returns:
        The data set; images are numbered from 1, those of a split in the order of their paths.

    Raises:
        DataError: data.yaml, a folder or a list is unusable, or all boxes are oriented ones; with
            on_error "raise" also a faulty image or box.
    """
    log, notes = FaultLog(on_error), []
    description = _describe(root)
    places = {name: ", ".join(paths) for name, paths in description.splits.items()}
    chosen = [choose_split(split, places, description.file) for split in splits]
    listed = list_images(root, description, chosen, notes)
    named = named_folders(root, description, chosen)
    index, inside = ImageIndex(root), Inside([root, *named, *image_roots])

    def look(image: Listed) -> _Labelled:
        found = image.find(index)
        file = label_file(found.path)
        labels = _read_labels(file, description)
        size = check_size(inside.check(found.path), None, None, max_pixels)._replace(
            renamed=found.renamed
        )
        boxes, faults = (labels.boxes, labels.faults) if labels else ((), ())
        where = image.image_id, image.file, image.where
        return _Labelled(Page(*where, size, boxes, faults, file, in_shares=True), labels)

    labelled = look_at_listed(listed, look, log)
    _check_labels(labelled, description.file, notes)
    notes += _unused_labels(listed)
    notes += [
        f"split {split} is left out: there are no images in {quoted(paths)}"
        for split, paths in absent_splits(root, description).items()
    ]
    names = description.names.values()
    pages = [each.page for each in labelled]
    return make_dataset(root, splits, pages, names, classes, log, max_pixels, notes)


def _describe(root: str) -> Description:
    """The classes and splits of a folder; DataError where nothing says what they are."""
    files = find_description_files(root)
    if len(files) > 1:
        what = f"{quoted(map(os.path.basename, files))} all describe a data set"
        raise fault(root, "the data set", what, "keep one of them")
    if files:
        description = read_description(files[0])
        if description.splits:
            return description
        places = {split: (place,) for split, place in find_folders(root).items()}
        return description._replace(splits=places)
    folders = find_folders(root)
    if not folders:
        what = f"no data.yaml, obj.data, or images/ with labels/; {what_is_there(root)}"
        raise fault(root, "the data set", what, "check data.root and data.format")
    return describe_folders(root, folders)


def _read_labels(file: str, description: Description) -> Labels | None:
    """What a label file says, None where there is none; ValueError where it cannot be read."""
    try:
        text = read_text(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"its label file {file} cannot be read ({error.strerror})"
        raise Invalid(what, UNREADABLE) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"its label file {file}: {not_text(error)}", UNREADABLE) from error
    return parse_labels(text, description.names, description.keypoint_numbers)


def _check_labels(labelled: Sequence[_Labelled], file: str, notes: list[str]) -> None:
    """See that labels are there, and not all of them oriented boxes, which is a DataError."""
    if are_oriented(each.labels for each in labelled if each.labels):
        what = (
            "every label has four corners: these are oriented boxes, which are not supported "
            "(or polygons that all have four corners)"
        )
        raise fault(file, "the labels", what, "export upright boxes, CLASS X Y WIDTH HEIGHT")
    if labelled and not any(each.labels for each in labelled):
        first = labelled[0].page.boxes_file
        notes.append(f"no image has a label file (the first image's would be {first})")


def _unused_labels(listed: Sequence[Listed]) -> list[str]:
    """A note of how many label files belong to no image, beside those of folders of images."""
    used = {label_file(image.name) for image in listed if not image.places}
    found = {
        os.path.join(folder, name)
        for folder in {os.path.dirname(file) for file in used}
        for name in list_folder(folder).ending(".txt")
        if name not in (*NAME_FILES, *OTHER_NAME_FILES)
    }
    unused = sorted(found - used)
    if not unused or len(unused) == len(found):  # else these are texts of another kind
        return []
    return [f"{counted(len(unused), 'label file')} without an image (the first: {unused[0]})"]

"""The images of a split in YOLO's format: those of folders, or those that lists name."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxrcnn.data.annotated import lines_of, read_annotation
from jaxrcnn.data.errors import fault, quoted, shortened
from jaxrcnn.data.folders import below, images_below, what_is_there
from jaxrcnn.data.image_index import FoundImage, ImageIndex
from jaxrcnn.data.image_names import clean_parts
from jaxrcnn.data.yolo_description import Description

LOOK = "correct the path, or move the images there"


class Listed(NamedTuple):
    """An image of a split, which need not exist."""

    image_id: int
    file: str  # the folder or list that has it
    where: str  # in that file, or which image of that folder
    name: str  # its path, or the line of a list
    places: tuple[str, ...]  # folders that a line of a list may start from; none for a path

    def find(self, index: ImageIndex) -> FoundImage:
        """The file of the image; ValueError where there is none."""
        return index.find(self.name, self.places) if self.places else FoundImage(self.name, False)


def list_images(
    root: str, description: Description, splits: Sequence[str], notes: list[str]
) -> list[Listed]:
    """The images of all splits, numbered from 1: splits in order, images of each by their paths.

    Raises:
        DataError: a folder or list of a split is missing, empty or cannot be read.
    """
    listed: list[Listed] = []
    for split in splits:
        images = [
            image
            for written in description.splits[split]
            for image in _images_of(root, description, split, written, notes)
        ]
        if not images:
            raise fault(description.file, f"split {split}", _no_images(description, split), LOOK)
        images.sort(key=lambda image: clean_parts(below(root, image.name)))
        listed += images
    return [image._replace(image_id=place) for place, image in enumerate(listed, 1)]


def _no_images(description: Description, split: str) -> str:
    paths = [path for path in description.splits[split] if path != "."]
    return f"no images are in {quoted(paths)}" if paths else "there are no images"


def absent_splits(root: str, description: Description) -> dict[str, tuple[str, ...]]:
    """The splits none of whose folders and lists exists or has an image, as they are written.

    Tools name validation and test splits in data.yaml also where they export none. Empty where all
    splits are absent: then the paths are wrong.
    """
    absent = {
        split: paths
        for split, paths in description.splits.items()
        if not any(_has_images(root, description, path) for path in paths)
    }
    return {} if len(absent) == len(description.splits) else absent


def _has_images(root: str, description: Description, written: str) -> bool:
    path = _find(root, description, written)
    return os.path.isfile(path) or (bool(path) and any(True for _ in images_below(path)))


def _images_of(
    root: str, description: Description, split: str, written: str, notes: list[str]
) -> Iterator[Listed]:
    """The images of a folder or a list, in its order."""
    path = _find(root, description, written)
    if not path:
        what = f"{written} is neither a folder nor a list of images; {what_is_there(root)}"
        raise fault(description.file, f"split {split}", what, LOOK)
    base = os.path.join(root, description.path)
    if os.path.normpath(path) != os.path.normpath(os.path.join(base, written)):
        named = os.path.join(description.path, written)
        notes.append(f"split {split} is read from {path}, not {shortened(named)}")
    elif below(root, path) == path:
        notes.append(f"split {split} is read from {path}, outside of {root}")
    if os.path.isfile(path):
        places = tuple(dict.fromkeys(map(os.path.normpath, (base, root, os.path.dirname(path)))))
        for number, line in enumerate(lines_of(read_annotation(path, f"split {split}")), 1):
            if line:
                yield Listed(0, path, f"line {number}", line, places)
    else:
        for image in images_below(path):
            yield Listed(0, path, f"image {below(root, image)}", image, ())


def named_folders(root: str, description: Description, splits: Sequence[str]) -> list[str]:
    """The folders of splits, and those of lists, which data.yaml may name outside of the root."""
    paths = [_find(root, description, path) for name in splits for path in description.splits[name]]
    folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in paths if path]
    base = os.path.join(root, description.path)
    outside = [folder for folder in (*folders, base) if below(root, folder) == folder]
    return [folder for folder in outside if not _is_above(folder, root)]


def _find(root: str, description: Description, written: str) -> str:
    """The folder or list that a path means; "" where there is none.

    Tools write paths of the machine where they ran, and Roboflow ../train/images for the folder
    beside its data.yaml: what is missing is looked for in the root, by the end of its path.
    """
    parts = clean_parts(written)
    is_list = written.lower().endswith(".txt")
    fewest = 1 if is_list else min(2, len(parts))
    inside = [os.path.join(root, *parts[start:]) for start in range(len(parts) - fewest + 1)]
    as_written = os.path.join(root, description.path, written)
    beside = os.path.join(root, description.path, *parts)
    upwards = written.replace("\\", "/").startswith("../") and not description.path
    order = [*inside[:1], as_written] if upwards else [as_written]
    exists = os.path.isfile if is_list else os.path.isdir
    for path in [*order, beside, *inside]:
        if parts and exists(path) and not _is_above(path, root):
            return os.path.normpath(path)
    return root if not parts and not _is_above(as_written, root) else ""


def _is_above(path: str, root: str) -> bool:
    """Whether a folder contains the root and more."""
    path, root = (os.path.realpath(each) for each in (path, root))
    return path != root and os.path.commonpath([path, root]) == path


LABELS = {"images": "labels", "Images": "Labels", "IMAGES": "LABELS"}
"""Folders of labels by those of images beside them."""


def label_file(image: str) -> str:
    """The label file of an image, which need not exist: in labels/ for images/, or beside it."""
    stem = os.path.splitext(image)[0]
    folders = stem.replace("\\", "/").split("/")
    beside = f"{stem}.txt"
    last = max((i for i, name in enumerate(folders[:-1]) if name in LABELS), default=-1)
    if last < 0:
        return beside
    path = "/".join([*folders[:last], LABELS[folders[last]], *folders[last + 1 :]]) + ".txt"
    return path if os.path.isfile(path) or not os.path.isfile(beside) else beside

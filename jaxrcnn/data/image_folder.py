"""Hugging Face's imagefolder: images, and a metadata.jsonl that describes them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from jaxrcnn.data.annotated import Page, look_at_listed, make_dataset
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.dataset_card import read_class_names
from jaxrcnn.data.errors import fault
from jaxrcnn.data.folders import below, list_folder, what_is_there
from jaxrcnn.data.image_files import check_size
from jaxrcnn.data.image_folder_metadata import Entry, read_metadata
from jaxrcnn.data.image_index import ImageIndex
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.splits import ALL, choose_split, is_split
from jaxrcnn.data.table_sheet import BEGINNING, peek_header
from jaxrcnn.opening import open_file
from jaxrcnn.wording import counted

FILES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


class _Source(NamedTuple):
    """Where the images of a split are described."""

    file: str
    folder: str  # of the images that are of the split, in one file for all; "" for all images


def find_splits(root: str) -> dict[str, str]:
    """The splits of a folder in the imagefolder format, each with the file that describes it.

    Empty where no metadata file has objects. Only the beginnings of files are read.
    """
    return _places(root, _find_sources(root))


def read_image_folder(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
    max_pixels: int = MAX_PIXELS,
    image_roots: Sequence[str] = (),
) -> Dataset:
    """Open splits of a folder in Hugging Face's imagefolder format as one data set.

    Args:
        root: the folder with metadata.jsonl, or with a folder for each split that has one.
        splits: names of the splits, in this order; "all" is a set that is not divided.
        classes: class names in the order of their labels; boxes of others are left out and
            counted. Empty takes those that README.md names, or those found, sorted.
        on_error: what to do with a faulty image or box: stop, or leave it out and note it.
        max_pixels: height times width of the largest image that is read.
        image_roots: folders besides the root that images may be in.

    Returns:
        The data set; images are numbered from 1, those of a split in the order of their names.

    Raises:
        DataError: a metadata file cannot be read; with on_error "raise" also a faulty image or box.
    """
    log = FaultLog(on_error)
    sources = _find_sources(root)
    if not sources:
        what = f"no {', '.join(FILES)} has objects; {what_is_there(root)}"
        raise fault(root, "the data set", what, "check data.root and data.format")
    known = read_class_names(root)
    files: dict[str, list[Entry]] = {}
    entries: list[Entry] = []
    for split in splits:
        file, folder = sources[choose_split(split, _places(root, sources), root)]
        if file not in files:
            files[file] = read_metadata(file, known, log)
        entries += [each for each in files[file] if each.name.startswith(folder)]
    entries = [each._replace(image_id=place) for place, each in enumerate(entries, 1)]
    index, inside = ImageIndex(root), Inside([root, *image_roots])

    def look(entry: Entry) -> Page:
        path, renamed = index.find(entry.name, [os.path.dirname(entry.file)])
        image = check_size(inside.check(path), None, None, max_pixels)._replace(renamed=renamed)
        where = entry.image_id, entry.file, entry.where
        return Page(*where, image, entry.boxes, entry.faults)

    pages = look_at_listed(entries, look, log)
    listed = _class_order({box.name for page in pages for box in page.boxes}, known)
    notes = _notes(entries, files, sources, known)
    return make_dataset(root, splits, pages, listed, classes, log, max_pixels, notes)


def _find_sources(root: str) -> dict[str, _Source]:
    """The metadata files of the splits: in their folders, or one for all of them."""
    for base in (root, os.path.join(root, "data")):
        folders = [name for name in list_folder(base).folders if is_split(name)]
        files = {name: _metadata_file(os.path.join(base, name)) for name in folders}
        found = {name: _Source(file, "") for name, file in files.items() if file}
        if found:
            return found
        whole = _metadata_file(base)
        if whole:
            divided = {name: _Source(whole, f"{name}/") for name in folders}
            return divided or {ALL: _Source(whole, "")}
    return {}


def _places(root: str, sources: Mapping[str, _Source]) -> dict[str, str]:
    """The metadata file of each split, relative to the root."""
    return {split: below(root, source.file) for split, source in sources.items()}


def _metadata_file(folder: str) -> str:
    """The first metadata file in a folder that has objects; "" where none does."""
    paths = (os.path.join(folder, name) for name in FILES)
    return next((path for path in paths if os.path.isfile(path) and _has_objects(path)), "")


def _has_objects(file: str) -> bool:
    """Whether a metadata file describes objects: others describe images as a whole."""
    if not file.endswith(".jsonl"):
        return "objects" in (peek_header(file) or ())
    try:
        with open_file(file) as stream:
            return b"objects" in stream.read(BEGINNING).replace(b"\0", b"")  # UTF-16 has zeros
    except OSError:
        return False


def _class_order(found: set[str], known: Sequence[str]) -> Sequence[str]:
    """The names of the classes in order: as README.md has them, by number, or sorted."""
    if known and found <= set(known):
        return known
    return sorted(
        found, key=lambda name: (not name.isdecimal(), name.isdecimal() * len(name), name)
    )


def _notes(
    entries: Sequence[Entry],
    files: dict[str, list[Entry]],
    sources: dict[str, _Source],
    known: Sequence[str],
) -> Iterable[str]:
    """What a person should know of how the metadata was read."""
    if not known and any(entry.numbered for entry in entries):
        yield "README.md does not name the classes, so their numbers are used as names"
    folders = tuple(source.folder for source in sources.values())
    outside = sum(not e.name.startswith(folders) for each in files.values() for e in each)
    if outside:
        yield f"{counted(outside, 'image')} outside the folders of the splits left out"

"""Which files and folders make a data set in YOLO's format."""

import math
import os
from collections.abc import Iterator, Sequence
from itertools import islice

from jaxrcnn.data.annotated import lines_of, read_annotation
from jaxrcnn.data.errors import DataError, fault
from jaxrcnn.data.folders import list_folder, walk
from jaxrcnn.data.splits import ALL, is_split
from jaxrcnn.data.text import read_ends, read_text
from jaxrcnn.data.yolo_description import (
    Description,
    check_names,
    describes_splits,
    parse_description,
)
from jaxrcnn.wording import counted

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
YAML_ENDINGS = (".yaml", ".yml")
NAME_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels")
"""Files with the name of a class on each line."""
OTHER_NAME_FILES = ("predefined_classes.txt", "labels.txt", "names.txt")
"""Such files where there is none of `NAME_FILES`."""
FEW = 50
"""Files of a folder that are looked at to see what it is."""


def find_description_files(root: str) -> list[str]:
    """The files that describe the data set: data.yaml and the like, or else darknet's obj.data."""
    listing = list_folder(root)
    usual = [name for name in listing.files if name.lower() in YAML_NAMES]
    others = [name for name in listing.ending(*YAML_ENDINGS) if name not in usual]
    found = [os.path.join(root, name) for name in usual]
    found += [path for path in (os.path.join(root, name) for name in others) if _splits_of(path)]
    data = [os.path.join(root, name) for name in listing.ending(".data")]
    return found or [path for path in data if "names" in _darknet_entries(path)]


def _splits_of(path: str) -> tuple[str, ...] | None:
    try:
        return describes_splits(read_text(path))
    except (OSError, ValueError):
        return None


def splits_of_file(path: str) -> tuple[str, ...]:
    """The splits that a file of `find_description_files` names; train where it cannot be read."""
    if path.lower().endswith(YAML_ENDINGS):
        return _splits_of(path) or ("train",)
    return tuple(key for key in _darknet_entries(path) if is_split(key)) or ("train",)


def read_description(path: str) -> Description:
    """What a file of `find_description_files` says.

    Raises:
        DataError: it cannot be understood.
    """
    text = read_annotation(path, "the data set")
    try:
        if path.lower().endswith(YAML_ENDINGS):
            return parse_description(path, text)
        return _read_darknet(path)
    except DataError:
        raise
    except ValueError as error:
        raise fault(path, "the data set", str(error), "correct it") from error


def _darknet_entries(path: str) -> dict[str, str]:
    """The lines KEY = VALUE of a file, which need not be one of darknet's."""
    try:
        lines = lines_of(read_text(path))
    except (OSError, ValueError):
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _read_darknet(path: str) -> Description:
    entries = _darknet_entries(path)
    root = os.path.dirname(path)
    written = entries["names"].replace("\\", "/")
    places = [written, os.path.join(root, written), os.path.join(root, os.path.basename(written))]
    file = next((place for place in places if os.path.isfile(place)), places[1])
    names = read_names(file)
    number = entries.get("classes", str(len(names)))
    if number != str(len(names)):
        raise ValueError(f"classes is {number[:20]}, but {file} has {counted(len(names), 'name')}")
    splits = {key: (value,) for key, value in entries.items() if is_split(key) and value}
    return Description(path, names, splits)


def read_names(file: str) -> dict[int, str]:
    """The names of classes, one a line.

    Raises:
        DataError: it cannot be read, a name is missing or comes twice.
    """
    lines = lines_of(read_annotation(file, "the class names"))
    while lines and not lines[-1]:
        lines.pop()
    try:
        return check_names(dict(enumerate(lines)))
    except ValueError as error:
        raise fault(file, "the class names", str(error), "correct it") from error


def find_folders(root: str) -> dict[str, str]:
    """The folders of images, or lists of images, of each split, where no file describes them."""
    images, labels = (os.path.join(root, name) for name in ("images", "labels"))
    found: dict[str, str] = {}
    for name in list_folder(root).folders:
        folder = os.path.join(root, name)
        if is_split(name) and _has_labels(os.path.join(folder, "labels")):
            found[name] = os.path.join(name, "images")
        elif is_split(name) and _has_labels(folder):
            found[name] = name
    if found:
        return found
    if os.path.isdir(images) and _has_labels(labels):
        inside = list_folder(images).folders
        splits = {name: os.path.join("images", name) for name in inside if is_split(name)}
        return _lists(root) or splits or {ALL: "images"}
    if find_name_files(root, ()):
        return _lists(root) or ({ALL: "."} if _has_labels(root) else {})
    return {}


def _lists(root: str) -> dict[str, str]:
    """The lists of images in a folder, by their splits."""
    stems = {os.path.splitext(name)[0]: name for name in list_folder(root).ending(".txt")}
    return {stem: name for stem, name in stems.items() if is_split(stem)}


def describe_folders(root: str, folders: dict[str, str]) -> Description:
    """The description of a data set whose folders say what is what.

    Raises:
        DataError: no file, or several that differ, have the names of its classes.
    """
    files = find_name_files(root, tuple(folders.values()))
    if not files:
        what = f"there are no class names: no {', '.join(NAME_FILES[:2])} or data.yaml"
        raise fault(root, "the data set", what, "write classes.txt, one name a line")
    names = read_names(files[0])
    for file in files[1:]:
        if read_names(file) != names:
            what = f"has other class names than {files[0]}"
            raise fault(file, "the class names", what, "correct one of them")
    return Description(root, names, {key: (place,) for key, place in folders.items()})


def find_name_files(root: str, folders: Sequence[str]) -> list[str]:
    """The files with the names of classes, in the root, labels/ and beside the images."""
    places = [root, os.path.join(root, "labels"), os.path.join(root, "images")]
    for folder in folders:
        place = os.path.join(root, folder)
        beside = os.path.join(os.path.dirname(place), "labels")
        places += [place, os.path.dirname(place), beside]
    return _files_in(places, NAME_FILES) or _files_in(places, OTHER_NAME_FILES)


def _files_in(places: Sequence[str], names: Sequence[str]) -> list[str]:
    """The paths of files with these names in some folders, each once."""
    paths = [os.path.join(place, name) for place in places for name in names]
    unique = dict.fromkeys(os.path.normpath(path) for path in paths)
    return [path for path in unique if os.path.isfile(path)]


def _has_labels(folder: str) -> bool:
    """Whether one of the first text files in a folder, or below it, is a label file."""
    return any(_looks_like_labels(path) for path in islice(_text_files(folder), FEW))


def _text_files(folder: str) -> Iterator[str]:
    for place, listing in islice(walk(folder), FEW):
        yield from (os.path.join(place, name) for name in listing.ending(".txt"))


def _looks_like_labels(path: str) -> bool:
    """Whether the first line of a file is a label: nothing but numbers, at least five."""
    try:
        words = read_ends(path, 4000, 0).split("\n", 1)[0].split()
        return len(words) > 4 and all(math.isfinite(float(word)) for word in words)
    except (OSError, ValueError):
        return False

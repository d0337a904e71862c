"""Where tools put Pascal VOC's XML files, their lists and their images."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxrcnn.data.folders import below, existing, list_folder
from jaxrcnn.data.foreign import MOST, identify
from jaxrcnn.data.image_names import is_image
from jaxrcnn.data.splits import ALL, choose_split, role_of
from jaxrcnn.data.text import read_text

LISTS = os.path.join("ImageSets", "Main")
XML_FOLDERS = ("annotations", "annotation", "xmls", "xml", "labels")
IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
"""Names of folders beside each other, in lower case."""


class Unlisted(NamedTuple):
    """A split without a list: all XML files of a folder."""

    folder: str  # of the XML files
    images: tuple[str, ...]  # folders where their images may be


def find_splits(root: str) -> dict[str, str]:
    """The splits of a folder in Pascal VOC's format, each with its list or its XML files, relative
    to the folder.

    Without lists, folders named for a split, such as train/ and valid/, are splits, and XML files
    in none of them are "all".
    """
    lists = dict(_lists(root))
    if lists:
        return {name: below(root, path) for name, path in lists.items()}
    return {
        name: below(root, os.path.join(split.folder, "*.xml"))
        for name, split in _unlisted(root).items()
    }


def find_split(root: str, split: str) -> str:
    """The name that a split has in a folder; the given one where nothing is found at all.

    Raises:
        DataError: the folder has other splits.
    """
    if os.path.isfile(find_list(root, split)):
        return split
    found = find_splits(root)
    return choose_split(split, found, root) if found else split


def find_list(root: str, split: str) -> str:
    """Path of the list that a split has in this format; it need not exist."""
    folder, name = os.path.split(split)
    return os.path.join(root, folder, LISTS, f"{name}.txt")


def find_unlisted(root: str, split: str) -> Unlisted | None:
    """Where a split without a list is; None where there is none of that name."""
    return None if dict(_lists(root)) else _unlisted(root).get(split)


def listed_images(base: str) -> str:
    """The folder of the images of lists: JPEGImages, or where it is missing another usual one."""
    usual = os.path.join(base, "JPEGImages")
    others = [name for name in list_folder(base).folders if name.lower() in IMAGE_FOLDERS]
    return usual if os.path.isdir(usual) or not others else os.path.join(base, others[0])


def _lists(root: str) -> Iterator[tuple[str, str]]:
    """Names and paths of the lists of all classes; those of VOCdevkit begin with its folders."""
    years = [name for name in list_folder(root).folders if name.startswith("VOC")]
    for place in ("", *years):
        folder = os.path.join(root, place, LISTS)
        stems = [os.path.splitext(name)[0] for name in list_folder(folder).ending(".txt")]
        for stem in stems:
            path = os.path.join(folder, f"{stem}.txt")
            if not any(stem.endswith(f"_{split}") for split in stems) or not _is_of_a_class(path):
                yield "/".join(filter(None, (place, stem))), path


def _is_of_a_class(path: str) -> bool:
    """Whether every line of a list has a flag that says if the image holds the class."""
    try:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return False
    return bool(lines) and all(line[-1] in ("-1", "0", "1") and line[1:] for line in lines)


def _unlisted(root: str) -> dict[str, Unlisted]:
    """The splits without lists, by their names."""
    found: dict[str, Unlisted] = {}
    beside = list_folder(root).folders
    images = _image_folders(beside)
    for name in beside:
        folder = os.path.join(root, name)
        if name.lower() in XML_FOLDERS:
            for split in list_folder(folder).folders:
                places = [os.path.join(place, split) for place in images]
                _add(found, split, root, os.path.join(name, split), [*places, *images, split])
        elif role_of(name):
            _add_folder(found, name, folder)
    _add_folder(found, ALL, root)
    return found


def _add_folder(found: dict[str, Unlisted], name: str, folder: str) -> None:
    """Add a split whose XML files are in the folder, or in one for them below it."""
    names = list_folder(folder).folders
    images = _image_folders(names)
    for place in [*(name for name in names if name.lower() in XML_FOLDERS), "."]:
        _add(found, name, folder, place, [*images, "."])


def _image_folders(names: Sequence[str]) -> list[str]:
    """The folders that may hold images: the usual ones first, then all that are not for XML files
    or for a split."""
    usual = [name for name in names if name.lower() in IMAGE_FOLDERS]
    others = [name for name in names if name.lower() not in XML_FOLDERS and not role_of(name)]
    return list(dict.fromkeys([*usual, *others]))


def _add(found: dict[str, Unlisted], name: str, base: str, place: str, images: list[str]) -> None:
    """Add a split if there are VOC's XML files in a folder, and none of its name is known."""
    folder = os.path.normpath(os.path.join(base, place))
    if name not in found and _holds_voc(folder):
        found[name] = Unlisted(folder, tuple(existing(base, [place, *images])))


def _holds_voc(folder: str) -> bool:
    """Whether one of the first XML files in a folder is VOC's."""
    files = list_folder(folder).ending(".xml")[:MOST]
    return any(identify(os.path.join(folder, name))[0] == "voc" for name in files)


def spare_images(split: Unlisted, used: set[str]) -> int:
    """How many images of a split have no XML file."""
    paths = {
        os.path.join(folder, name)
        for folder in split.images
        for name in list_folder(folder).files
        if is_image(name)
    }
    return len(paths - used)

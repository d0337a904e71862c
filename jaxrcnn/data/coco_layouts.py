"""Where tools put COCO's JSON files and the images that belong to them."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from jaxrcnn.data.errors import fault
from jaxrcnn.data.folders import below, existing, list_folder
from jaxrcnn.data.foreign import MOST, identify
from jaxrcnn.data.image_names import is_image
from jaxrcnn.data.splits import ALL, choose_split, role_of

PREFIX = "instances_"
OTHER_TASKS = ("captions_", "panoptic_", "stuff_", "image_info_")
"""How names of COCO's files for other tasks begin."""
KEYPOINTS = "person_keypoints_"
"""How names of files begin that have keypoints besides boxes, and are read where no others are."""
ANNOTATIONS = ("annotations", "annotation", "labels")
"""Folders of JSON files, in upper or lower case."""
ROBOFLOW = "_annotations.coco.json"
LOOK = "check data.root and the names of the splits"


class Place(NamedTuple):
    """Where a split is."""

    file: str
    folder: str  # of the images
    more: tuple[str, ...] = ()  # folders where its images may be too


def find_splits(root: str) -> dict[str, str]:
    """The splits of a folder in COCO's format, each with its JSON file, relative to the folder.

    Files are annotations/instances_SPLIT.json, annotations/SPLIT.json, SPLIT/FILE.json (such as
    Roboflow's _annotations.coco.json) or FILE.json. One file without a name of a split is "all".
    """
    listing = list_folder(root)
    found: dict[str, str] = {}
    annotations = [name for name in listing.folders if name.lower() in ANNOTATIONS]
    for folder in annotations:
        for name, path in _named(os.path.join(root, folder), found):
            found.setdefault(name, below(root, path))
    for name in listing.folders:
        if name not in annotations:
            files = list(_coco_files(os.path.join(root, name)))
            roboflow = [path for path in files if os.path.basename(path) == ROBOFLOW]
            if roboflow or (len(files) == 1 and role_of(name)):
                found.setdefault(name, below(root, (roboflow or files)[0]))
    for name, path in _named(root, found):
        found.setdefault(name, below(root, path))
    return found


def _named(folder: str, known: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Names and paths of the COCO files in a folder; the only one may be without a name."""
    files = list(_coco_files(folder))
    for path in files:
        stem = os.path.splitext(os.path.basename(path))[0]
        name = stem.removeprefix(PREFIX)
        in_annotations = os.path.basename(folder) in ANNOTATIONS and stem not in ANNOTATIONS
        unnamed = name == stem and not role_of(name) and not in_annotations
        if os.path.basename(path) == ROBOFLOW or (unnamed and len(files) == 1):
            name = ALL
        if name != ALL or not known:
            yield name, path


def _coco_files(folder: str) -> Iterator[str]:
    """Paths of the files of boxes in a folder, instances_*.json first."""
    names = [x for x in list_folder(folder).ending(".json") if not x.startswith(OTHER_TASKS)]
    files = [name for name in names if not name.startswith(KEYPOINTS)] or names
    sure = [name for name in files if name.startswith(PREFIX) or name == ROBOFLOW]
    yield from (os.path.join(folder, name) for name in sure)
    for name in [name for name in files if name not in sure][:MOST]:
        path = os.path.join(folder, name)
        if identify(path)[0] == "coco":
            yield path


def locate(root: str, split: str) -> Place:
    """The JSON file of a split, and the folders of its images.

    Raises:
        DataError: there is no such split, or no folder of images.
    """
    usual = os.path.join(root, "annotations", f"{PREFIX}{split}.json")
    if os.path.isfile(usual):
        return Place(usual, image_folder(root, split))
    found = find_splits(root)
    if not found:
        raise fault(usual, f"split {split}", "cannot be read (No such file or directory)", LOOK)
    split = choose_split(split, found, root)
    file = os.path.normpath(os.path.join(root, found[split]))
    beside = os.path.dirname(file)
    places = [*_usual_folders(split), os.path.join("data", split), "data"]
    places += [os.path.join(beside, name) for name in ("", "images", "data")]
    folder, *more = existing(root, [*places, ".", *_other_folders(root, split)])
    return Place(file, folder, tuple(more))


def _usual_folders(split: str) -> list[str]:
    return [split, os.path.join("images", split), "images", "JPEGImages"]


def _other_folders(root: str, split: str) -> list[str]:
    """The folders in the root that are not named for another split."""
    return [name for name in list_folder(root).folders if role_of(name) in ("", role_of(split))]


def image_folder(root: str, split: str) -> str:
    """The first folder that exists of those where the images of a split may be.

    Raises:
        DataError: there is none, and no image in the root or in its folders.
    """
    places = _usual_folders(split)
    folders = existing(root, places)
    others = [root, *existing(root, _other_folders(root, split))]
    with_images = [path for path in others if any(map(is_image, list_folder(path).files))]
    if not folders and not with_images:
        what = f"there is no image folder (looked for {', '.join(places)})"
        raise fault(root, f"split {split}", what, "put the images there, or check data.root")
    return (folders or with_images)[0]

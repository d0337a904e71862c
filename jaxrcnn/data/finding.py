"""Which format a folder is in, and what to say where that is none."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.folders import below, list_folder, walk
from jaxrcnn.data.foreign_files import find_foreign
from jaxrcnn.data.formats import FORMATS
from jaxrcnn.data.image_names import is_image
from jaxrcnn.data.splits import choose_splits
from jaxrcnn.wording import counted

DOCS = "docs/data.md describes the formats that are read"


DEEPEST = 5
"""Folders that contain nothing but another one, as archives in archives have them."""
WRITTEN = (".json", ".jsonl", ".xml", ".txt", ".csv", ".tsv", ".parquet", ".yaml", ".yml")
"""Endings of files that may say where objects are."""
MOST_FOREIGN = 3


class Found(NamedTuple):
    """The data set in a folder."""

    root: str  # the folder, or the only one in it
    format: str
    splits: Mapping[str, str]  # their places, by their names
    lines: tuple[str, ...]  # what was chosen and why


def find_format(root: str, columns: Sequence[str] = ()) -> Found:
    """The data set in a folder, or else in the only folder in it, as when an archive was unpacked.

    Args:
        root: the folder.
        columns: data.columns, with which any table may be a data set.

    Raises:
        DataError: there is none; says what is there.
    """
    inner = root
    for _ in range(DEEPEST):
        found = find_all(inner, columns)
        if found:
            lines = (f"{root} itself has no data set, so {inner} is read",) if inner != root else ()
            return _chosen(inner, found, lines)
        inner = _only_folder(inner)
        if not inner:
            break
    raise DataError(f"{root}: {describe(root)}")


def find_all(root: str, columns: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    """The splits in a folder by the formats that it is in, in the order of `FORMATS`."""
    found = {name: form.find_splits(root, columns) for name, form in FORMATS.items()}
    return {name: splits for name, splits in found.items() if splits}


def _chosen(root: str, found: dict[str, dict[str, str]], lines: tuple[str, ...]) -> Found:
    name = next(filter(lambda name: _can_train(found[name]), found), next(iter(found)))
    others = [
        f"{FORMATS[other].title} ({_first(splits)}), which --config.data.format {other} reads"
        for other, splits in found.items()
        if other != name
    ]
    line = f"{root}: {FORMATS[name].title} ({_first(found[name])})"
    also = f"; also there: {', '.join(others)}" if others else ""
    return Found(root, name, found[name], (*lines, line + also))


def _can_train(splits: Mapping[str, str]) -> bool:
    try:
        choose_splits(splits)
    except ConfigError:
        return False
    return True


def _first(splits: Mapping[str, str]) -> str:
    """The place of the split that matters most to a reader."""
    try:
        return splits[choose_splits(splits).train[0]]
    except ConfigError:
        return next(iter(splits.values()))


def _only_folder(root: str) -> str:
    """The folder in a root that holds no other folder and no images; "" if there is none."""
    names = list_folder(root)
    if len(names.folders) != 1 or any(map(is_image, names.files)):
        return ""
    return os.path.join(root, names.folders[0])


def describe(root: str) -> str:
    """What is in a folder that no format was found in, and what to do."""
    if os.path.isfile(root):
        return "data.root is a file; give the folder that contains it"
    if not os.path.isdir(root):
        return "there is no such folder; check data.root"
    try:
        os.listdir(root)
    except OSError as error:
        return f"the folder cannot be read ({error.strerror})"
    holds = ", ".join(_contents(root))
    said = f"it contains {holds}" if holds else "the folder is empty"
    return "; ".join([f"no data set was recognised: {said}", *_remarks(root), DOCS])


def _remarks(root: str) -> list[str]:
    """What is known of the files in a folder, unless folders in it are data sets."""
    if any(find_all(os.path.join(root, name)) for name in list_folder(root).folders):
        return []
    foreign = [f"{below(root, path)} is {what}" for path, what in find_foreign(root)]
    return foreign[:MOST_FOREIGN] or _unannotated(root)


def _contents(root: str) -> list[str]:
    """The files by their endings, and the first folders."""
    names = list_folder(root)
    images = sum(map(is_image, names.files))
    endings = Counter(
        os.path.splitext(name)[1].lower() or "other" for name in names.files if not is_image(name)
    )
    parts = [counted(images, "image")] if images else []
    parts += [counted(count, f"{ending} file") for ending, count in endings.most_common(5)]
    parts += [
        f"the folder {name}/{_inside(os.path.join(root, name))}" for name in names.folders[:5]
    ]
    if len(names.folders) > 5:
        parts.append(counted(len(names.folders) - 5, "more folder"))
    return parts


def inner_data_sets(root: str) -> list[str]:
    """Paths of the folders in a folder that have data sets to train on."""
    paths = (os.path.join(root, name) for name in list_folder(root).folders)
    return [path for path in paths if any(map(_can_train, find_all(path).values()))]


def _inside(folder: str) -> str:
    """What is noteworthy of a subfolder: a data set, or how many images there are."""
    found = find_all(folder)
    if found:
        titles = " and ".join(FORMATS[name].title for name in found)
        return f" (a data set, {titles}: name {folder} instead)"
    images = sum(is_image(name) for _, names in walk(folder) for name in names.files)
    return f" ({counted(images, 'image')})" if images else ""


def _unannotated(root: str) -> list[str]:
    """What to say where there are images, and no file that may say what is on them."""
    names = [name for _, listing in walk(root) for name in listing.files]
    if not any(map(is_image, names)) or any(name.lower().endswith(WRITTEN) for name in names):
        return []
    return ["there are only images, and no file says where objects are on them"]


def explain(error: DataError, root: str, name: str, columns: Sequence[str] = ()) -> DataError:
    """The error of a reader, with what the folder holds where it holds nothing of that format."""
    if FORMATS[name].find_splits(root, columns):
        return error
    found = find_all(root)
    if not found:
        return DataError(f"{error}; {describe(root)}")
    there = [
        f"{FORMATS[other].title} ({_first(splits)}): --config.data.format {other}"
        for other, splits in found.items()
    ]
    return DataError(f"{error}; the folder contains {' and '.join(there)}")

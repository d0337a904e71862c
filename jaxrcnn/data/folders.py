"""What a folder contains, for finding a data set in it."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jaxrcnn.data.errors import quoted
from jaxrcnn.data.image_names import is_image
from jaxrcnn.wording import counted

DEEPEST = 2**15
"""Levels of folders, more than any path has."""


class Listing(NamedTuple):
    """Names in a folder, sorted."""

    files: tuple[str, ...]
    folders: tuple[str, ...]

    def ending(self, *endings: str) -> list[str]:
        """The files with one of these endings, in upper or lower case."""
        return [name for name in self.files if name.lower().endswith(endings)]


def is_visible(name: str) -> bool:
    """Whether a file or folder may be part of a data set.

    Hidden ones and macOS's `__MACOSX`, which come with unpacked archives, are not.
    """
    return not name.startswith(".") and name != "__MACOSX"


def list_folder(path: str) -> Listing:
    """The visible names in a folder; none where it cannot be read."""
    files, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if is_visible(entry.name):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        return Listing((), ())
    return Listing(tuple(sorted(files)), tuple(sorted(folders)))


def walk(root: str, depth: int = DEEPEST) -> Iterator[tuple[str, Listing]]:
    """A folder and those below it, in order, each with the names in it.

    Links to folders are followed, and each folder is looked at once.

    Args:
        root: the folder to begin with.
        depth: levels of folders below it.
    """
    seen = {os.path.realpath(root)}
    waiting = [(root, depth)]
    while waiting:
        place, left = waiting.pop()
        listing = list_folder(place)
        yield place, listing
        paths = [os.path.join(place, name) for name in listing.folders] if left else []
        for path in reversed(paths):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                waiting.append((path, left - 1))


def images_below(folder: str) -> Iterator[str]:
    """Paths of the image files in a folder and those below it, in order."""
    for place, listing in walk(folder):
        yield from (os.path.join(place, name) for name in listing.files if is_image(name))


def what_is_there(folder: str) -> str:
    """What a folder holds, for a message."""
    try:
        os.scandir(folder).close()
    except OSError as error:
        return f"{folder} cannot be read ({error.strerror})"
    listing = list_folder(folder)
    images = sum(map(is_image, listing.files))
    others = sorted({*listing.folders, *listing.files} - set(filter(is_image, listing.files)))
    parts = [quoted(others)] if others else []
    parts += [counted(images, "image")] if images else []
    return f"there are {' and '.join(parts)}" if parts else "it is empty"


def below(root: str, path: str) -> str:
    """A path as seen from a folder, with slashes; the whole path where it is somewhere else."""
    beginning = os.path.join(root, "")
    inside = path.removeprefix(beginning)
    is_inside = path.startswith(beginning) and not inside.startswith((os.sep, os.pardir))
    if is_inside and os.path.normpath(inside) == inside:  # relpath takes ten times as long
        return inside.replace(os.sep, "/")
    try:
        inside = os.path.relpath(path, root)
    except ValueError:  # on another drive
        return path
    return path if inside.startswith(os.pardir) else inside.replace(os.sep, "/")


def existing(root: str, places: Iterable[str]) -> list[str]:
    """Paths of those places below the root that are folders, each once, also where links lead."""
    paths = [os.path.normpath(os.path.join(root, place)) for place in places]
    real = {os.path.realpath(path): path for path in reversed(paths) if os.path.isdir(path)}
    return [path for path in dict.fromkeys(paths) if real.get(os.path.realpath(path)) == path]

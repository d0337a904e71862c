"""What a folder contains, for finding a data set in it."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jaxrcnn.data.images import ENDINGS


class Listing(NamedTuple):
    """Names in a folder, sorted."""

    files: tuple[str, ...]
    folders: tuple[str, ...]

    def ending(self, *endings: str) -> list[str]:
        """The files with one of these endings, in upper or lower case."""
        return [name for name in self.files if name.lower().endswith(endings)]


def list_folder(path: str) -> Listing:
    """The visible names in a folder; none where it cannot be read.

    Hidden files and folders and macOS's `__MACOSX`, which come with unpacked archives, are not part
    of a data set.
    """
    files, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if _is_shown(entry.name):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        return Listing((), ())
    return Listing(tuple(sorted(files)), tuple(sorted(folders)))


def walk(root: str, depth: int = 2**15) -> Iterator[tuple[str, list[str], list[str]]]:
    """Like `os.walk`, sorted and through links to folders too, each folder once.

    Hidden files and folders and `__MACOSX` are left out.

    Args:
        root: the folder to begin with.
        depth: of folders below it.
    """
    top = root.rstrip(os.sep).count(os.sep)
    seen = {os.path.realpath(root)}
    for place, folders, files in os.walk(root, followlinks=True):
        shown = sorted(name for name in folders if _is_shown(name))
        real = {name: os.path.realpath(os.path.join(place, name)) for name in shown}
        is_last = place.rstrip(os.sep).count(os.sep) - top >= depth
        folders[:] = [] if is_last else [name for name in shown if real[name] not in seen]
        seen.update(real[name] for name in folders)
        yield place, folders, sorted(filter(_is_shown, files))


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def is_image(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def below(root: str, path: str) -> str:
    """A path relative to the root, as it is shown to people: with slashes, a folder's with one at
    the end."""
    shown = os.path.relpath(path, root).replace(os.sep, "/")
    return f"{shown}/" if os.path.isdir(path) else shown


def existing(root: str, places: Iterable[str]) -> list[str]:
    """Paths of those places below the root that are folders, each once, also where links lead."""
    paths = [os.path.normpath(os.path.join(root, place)) for place in places]
    real = {os.path.realpath(path): path for path in reversed(paths) if os.path.isdir(path)}
    return [path for path in dict.fromkeys(paths) if real.get(os.path.realpath(path)) == path]

"""The image files below a folder, found by the names that annotations give them."""

import os
import posixpath
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxrcnn.data.errors import counted, quoted
from jaxrcnn.data.folders import is_image, walk
from jaxrcnn.data.images import ENDINGS


class FoundImage(NamedTuple):
    """Where an image is."""

    path: str
    renamed: bool  # in another folder than the annotations say


class ImageIndex:
    """Finds images below a folder by their names; the folder is listed when that is first needed.

    May be used by several threads.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._by_stem: dict[str, list[str]] | None = None

    def find(self, name: str, places: Sequence[str]) -> FoundImage:
        """The file of an image.

        It is looked for in the places in their order; then below the root, by as much of the end
        of its path as there is a file for. Backslashes count as slashes, an ending in other letters
        is the same, and where no ending is written any is taken.

        Raises:
            ValueError: there is none, or several files of one name.
        """
        slashed = name.replace("\\", "/").strip()
        for place in places:
            for path in (os.path.join(place, name), os.path.join(place, slashed)):
                if os.path.isfile(path):
                    return FoundImage(path, renamed=False)
        parts = clean_parts(slashed)
        candidates = [path for path in self._alike(parts) if _matches(path, parts[-1:])]
        for place in places:
            wanted = os.path.normpath(os.path.join(place, *parts))
            here = [path for path in candidates if _stem(path) == _bare(wanted)]
            if here:
                return FoundImage(here[0], renamed=False)
        for start in range(len(parts)):
            found = [path for path in candidates if _matches(path, parts[start:])]
            if len(found) == 1:
                return FoundImage(found[0], renamed=True)
            if found:
                raise ValueError(f"several files are named so: {quoted(found, 3)}")
        raise ValueError(f"the image file is missing: {slashed} (looked for below {self.root})")

    def _alike(self, parts: Sequence[str]) -> list[str]:
        """The files with the name of an image, whatever their endings and folders."""
        with self._lock:
            if self._by_stem is None:
                self._by_stem = defaultdict(list)
                for path in images_below(self.root):
                    self._by_stem[os.path.basename(_stem(path))].append(path)
        return self._by_stem.get(_bare(parts[-1]), []) if parts else []


def images_below(folder: str) -> Iterator[str]:
    """Paths of the image files in a folder and those below it, in order; hidden ones are not."""
    for place, _, names in walk(folder):
        yield from (os.path.join(place, name) for name in names if is_image(name))


def what_is_there(folder: str) -> str:
    """What a folder holds, for a message."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        return f"{folder} cannot be read ({error.strerror})"
    images = sum(map(is_image, names))
    parts = [quoted(name for name in names if not is_image(name))] if images < len(names) else []
    parts += [counted(images, "image")] if images else []
    return f"there are {' and '.join(parts)}" if parts else "it is empty"


def clean_parts(path: str) -> list[str]:
    """The names in a path, without those that lead upwards or to the root."""
    parts = posixpath.normpath(path.replace("\\", "/").strip()).split("/")
    return [part for part in parts if part not in ("", ".", "..")]


def _stem(path: str) -> str:
    return os.path.splitext(os.path.normpath(path))[0]


def _bare(name: str) -> str:
    """A name without the ending of an image, if it has one."""
    return os.path.splitext(name)[0] if is_image(name) else name


def _matches(path: str, parts: Sequence[str]) -> bool:
    """Whether a path ends in these names; the last may lack its ending."""
    wanted = os.path.join(*parts)
    found = _lower_ending(path) if is_image(wanted) else _stem(path)
    return (os.sep + found).endswith(os.sep + _lower_ending(wanted))


def _lower_ending(name: str) -> str:
    """A name whose ending, if it is that of an image, is in small letters."""
    stem, ending = os.path.splitext(name)
    return stem + ending.lower() if ending.lower() in ENDINGS else name

"""The image files below a folder, found by the names that annotations give them."""

import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.data.errors import Invalid, quoted
from jaxrcnn.data.folders import images_below
from jaxrcnn.data.image_names import bare_name, clean_parts, is_image, lower_ending


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
            here = [path for path in candidates if _stem(path) == bare_name(wanted)]
            if here:
                return FoundImage(here[0], renamed=False)
        for start in range(len(parts)):
            found = [path for path in candidates if _matches(path, parts[start:])]
            if len(found) == 1:
                return FoundImage(found[0], renamed=True)
            if found:
                raise Invalid(f"several files have this name: {quoted(found, 3)}", "image-missing")
        what = f"the image file is missing: {slashed} (looked for below {self.root})"
        raise Invalid(what, "image-missing")

    def _alike(self, parts: Sequence[str]) -> list[str]:
        """The files with the name of an image, whatever their endings and folders."""
        with self._lock:
            if self._by_stem is None:
                self._by_stem = defaultdict(list)
                for path in images_below(self.root):
                    self._by_stem[os.path.basename(_stem(path))].append(path)
        return self._by_stem.get(bare_name(parts[-1]), []) if parts else []


def _stem(path: str) -> str:
    return os.path.splitext(os.path.normpath(path))[0]


def _matches(path: str, parts: Sequence[str]) -> bool:
    """Whether a path ends in these names; the last may lack its ending."""
    wanted = os.path.join(*parts)
    found = lower_ending(path) if is_image(wanted) else _stem(path)
    return (os.sep + found).endswith(os.sep + lower_ending(wanted))

"""Image files belong to their data set: names and links that lead out of its folders are refused.

A data set that somebody else made could otherwise have any image of this machine read.
"""

import os
from collections.abc import Iterable

from jaxrcnn.data.errors import Invalid


class Inside:
    """Sees where image files are, by their real paths; may be used by several threads.

    Args:
        folders: that they may be in; those that are links themselves count as where they lead.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._real = tuple(os.path.join(os.path.realpath(folder), "") for folder in self._folders)
        self._known: dict[str, str] = {}  # real paths of folders; asking for them takes long

    def check(self, path: str) -> str:
        """The path of an image file that exists.

        Raises:
            Invalid: it is, or a link in it leads, outside of the folders.
        """
        folder, name = os.path.split(path)
        real = self._known.get(folder)
        if real is None:
            real = self._known.setdefault(folder, os.path.realpath(folder))
        found = os.path.join(real, name)
        if os.path.islink(found):
            found = os.path.realpath(found)
        if found.startswith(self._real):
            return path
        to = "" if os.path.abspath(path) == found else f", a link to {found},"
        what = (
            f"the image {path}{to} is outside of {self._folders[0]}: move it there, or allow its "
            f"folder with data.image_roots {os.path.dirname(found)}"
        )
        raise Invalid(what, "image-outside")

"""Names of image files, as folders have them and as annotations write them."""

import os
import posixpath

from jaxrcnn.data.images import ENDINGS


def is_image(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def bare_name(name: str) -> str:
    """A name without the ending of an image, if it has one."""
    return os.path.splitext(name)[0] if is_image(name) else name


def stem_of(path: str) -> str:
    """The name of an image without folders and ending; backslashes count as slashes."""
    return bare_name(posixpath.basename(path.replace("\\", "/")))


def lower_ending(name: str) -> str:
    """A name whose ending, if it is that of an image, is in lower case."""
    stem, ending = os.path.splitext(name)
    return stem + ending.lower() if is_image(name) else name


def clean_parts(path: str) -> list[str]:
    """The names in a path, without those that lead upwards or to the root."""
    parts = posixpath.normpath(path.replace("\\", "/").strip()).split("/")
    return [part for part in parts if part not in ("", ".", "..")]

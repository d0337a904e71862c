"""Which image files the words of a command line mean, and what their results are called."""

import glob
import os
import pathlib
from collections.abc import Iterable, Sequence

from jaxrcnn.config import ConfigError
from jaxrcnn.data.folders import is_visible
from jaxrcnn.data.image_names import is_image
from jaxrcnn.data.images import ENDINGS


def find_images(given: Sequence[pathlib.Path], out: pathlib.Path) -> list[pathlib.Path]:
    """The image files that the arguments name, each once, whatever it is called.

    What is named by itself is taken as it is. Of a folder, and of what a pattern matches, those
    files are taken that are called like images and are not hidden.

    Args:
        given: files, folders, patterns.
        out: folder of the results; where it lies in a given folder, it is passed by.

    Raises:
        ConfigError: a folder, or a pattern, without images.
    """
    found: dict[str, pathlib.Path] = {}
    for path in given:
        if os.path.isdir(path):
            files = _images_below(path, out)
        elif glob.has_magic(str(path)) and not os.path.exists(path):
            matches = map(pathlib.Path, sorted(glob.glob(str(path), recursive=True)))
            files = [match for match in matches if os.path.isfile(match) and _is_taken(match.name)]
        else:
            files = [path]
        if not files:
            raise ConfigError(f"{path} holds no images ({' '.join(ENDINGS)})")
        for file in files:
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _images_below(folder: pathlib.Path, out: pathlib.Path) -> list[pathlib.Path]:
    def stop(error: OSError) -> None:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error

    found = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        inside = pathlib.Path(parent)
        found += [inside / name for name in sorted(files) if _is_taken(name)]
        folders[:] = sorted(
            name
            for name in folders
            if is_visible(name) and os.path.realpath(inside / name) != os.path.realpath(out)
        )
    return found


def _is_taken(name: str) -> bool:
    return is_image(name) and is_visible(name)


def image_ids(images: Sequence[pathlib.Path]) -> list[int]:
    """The images' image_id: the number that each is called, as COCO's are, or else its place.

    Places count from 1; they are taken for all where a name is no number, or two are the same.
    """
    stems = [image.stem for image in images]
    if all(stem.isascii() and stem.isdecimal() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(images) + 1))


def file_names(images: Iterable[str]) -> list[str]:
    """A file name for each image's result: its own stem, numbered from the second time on.

    A JPEG gives a JPEG, everything else a PNG. Upper and lower case count as the same, as they do
    on some file systems.
    """
    names: list[str] = []
    taken: set[str] = set()
    for image in map(pathlib.Path, images):
        ending = ".jpg" if image.suffix.lower() in (".jpg", ".jpeg") else ".png"
        stem, number = image.stem, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{image.stem}_{number}"
        taken.add(stem.casefold())
        names.append(stem + ending)
    return names

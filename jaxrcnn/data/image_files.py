"""The image files of a data set: looked at when it is opened, which finds what is wrong with them.

Only the beginning of a file is read, by threads where that takes long, as over a network.
"""

import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import NamedTuple, TypeVar

from jaxrcnn.data.errors import DataError, Invalid
from jaxrcnn.data.images import Header, image_size, read_header
from jaxrcnn.data.transforms import Size
from jaxrcnn.opening import Overdue, attend

THREADS = 16
"""Threads that look at files which take long; they wait for the disk or the network."""
LONG = 1e-3
"""Seconds for a file; of quicker ones, threads would only take Python's lock from each other."""
CHUNK = 64
"""Files that a thread looks at in a row."""

T = TypeVar("T")
Found = TypeVar("Found")


class ImageFile(NamedTuple):
    """An image of a data set, and how its annotations see it."""

    path: str
    size: Size  # height and width in pixels, of what is annotated
    as_stored: bool  # the annotations are of the image before its EXIF tag turns it
    renamed: bool = False  # found by its file name alone, in another folder than annotated


def look_at(items: Sequence[T], look: Callable[[T], Found]) -> list[Found | ValueError]:
    """What `look` finds out about each item, or the ValueError that it raises."""

    def look_at_chunk(context: Context, chunk: Sequence[T]) -> list[Found | ValueError]:
        return context.run(_look_at, chunk, look)

    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    contexts = [copy_context() for _ in chunks]  # the time limit of reads is in it
    began = time.perf_counter()
    first = [look_at_chunk(*each) for each in zip(contexts[:1], chunks[:1], strict=True)]
    takes_long = time.perf_counter() - began > LONG * len(chunks[0] if chunks else ())
    with ThreadPoolExecutor(THREADS if takes_long else 1) as pool:
        rest = pool.map(look_at_chunk, contexts[1:], chunks[1:])
        return [found for chunk in (*first, *rest) for found in chunk]


def _look_at(chunk: Sequence[T], look: Callable[[T], Found]) -> list[Found | ValueError]:
    """The same for some items, one after the other in another thread, see `attend`."""
    done: list[Found | ValueError] = []
    while len(done) < len(chunk):
        found: list[Found | ValueError] = []  # a thread that is abandoned keeps its own
        try:
            attend(functools.partial(_look_on, chunk[len(done) :], look, found))
            done += found
        except Overdue as error:
            what = f"{error.filename}: {error.strerror}"
            done += [*found, DataError(what, "image-unreadable")]
    return done


def _look_on(
    items: Sequence[T], look: Callable[[T], Found], found: list[Found | ValueError]
) -> None:
    for item in items:
        found.append(_caught(look, item))


def _caught(look: Callable[[T], Found], item: T) -> Found | ValueError:
    try:
        return look(item)
    except ValueError as error:
        return error


def first_file(paths: Iterable[str]) -> str:
    """The first path that is a file.

    Raises:
        ValueError: none is; names all of them.
    """
    tried = list(dict.fromkeys(paths))
    for path in tried:
        if os.path.isfile(path):
            return path
    raise Invalid(f"the image file is missing: {' or '.join(tried)}", "image-missing")


def check_size(
    path: str,
    height: int | None,
    width: int | None,
    max_pixels: int,
    header: Header | None = None,
) -> ImageFile:
    """Compare the annotated size of an image with what its file says.

    The rule: an image is read as it is seen, turned by its EXIF tag. Where only the stored image,
    before that turn, has the annotated size, it is read as it is stored.

    Args:
        path: of the file.
        height: as annotated, pixels; None where it is not.
        width: as annotated, pixels; None where it is not.
        max_pixels: see data.max_pixels.
        header: of the file, if it is read already.

    Raises:
        ValueError: the file is no image, has too many pixels (both are DataErrors of `read_image`)
            or another size.
    """
    header = header or read_header(path, max_pixels)
    size = (height or header.size[0], width or header.size[1])
    if size == header.size:
        return ImageFile(path, size, as_stored=False)
    if header.sideways and size == header.stored_size:
        return ImageFile(path, size, as_stored=True)
    if size == image_size(path, max_pixels):  # the tag follows the pixels
        return ImageFile(path, size, as_stored=False)
    raise Invalid(size_mismatch(header.size, size), "image-size", path)


def size_mismatch(found: Size, annotated: Size) -> str:
    """What to say of an image that has another size than annotated."""
    return (
        f"the image is {found[1]}x{found[0]} pixels (width x height), "
        f"annotated as {annotated[1]}x{annotated[0]}"
    )

"""Images that nobody has annotated: files, or images in memory, as a data set without boxes."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxrcnn.config import DataConfig
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.images import MAX_PIXELS, image_size, read_scaled
from jaxrcnn.data.in_memory import ImageLike, check_list, to_pixels
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.data.transforms import Size
from jaxrcnn.opening import read_timeout

Content = str | np.ndarray
"""The path of a file, or pixels (H, W, 3) uint8 RGB."""

THREADS = 4
"""Threads that look at files."""


def open_images(
    images: Sequence[ImageLike],
    class_names: tuple[str, ...],
    category_ids: tuple[int, ...],
    faults: FaultLog,
    max_pixels: int = MAX_PIXELS,
    seconds: float = DataConfig.read_timeout,
) -> Dataset:
    """A data set of images, in their order; image_id is the place among those given, from 0.

    Of files only the size is found out; they are read when their turn comes. Files that cannot be
    opened or read within so many seconds (0: any number), or have more than `max_pixels`, go to
    `faults` and are left out.

    Raises:
        DataError: something else than a list of images is given, or (faults.on_error "raise") a
            file cannot be opened.
    """
    check_list(images)
    contents = [_content(image, f"images[{i}]", max_pixels) for i, image in enumerate(images)]
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(lambda content: _size(content, max_pixels, seconds), contents))
    records = []
    for place, (content, size) in enumerate(zip(contents, sizes, strict=True)):
        if isinstance(size, DataError):
            faults.add(size)
        else:
            file = content if isinstance(content, str) else ""
            name = file or f"images[{place}]"
            records.append(make_record(place, name, file, size, np.zeros((0, 4)), (), ()))
    return Dataset(
        "images",
        tuple(records),
        class_names,
        category_ids,
        lambda record: _read(record, contents[record.image_id], max_pixels, seconds),
    )


def _content(image: ImageLike, name: str, max_pixels: int) -> Content:
    """An image in memory is made an array here, in one thread: it may be there more than once."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return to_pixels(image, name, max_pixels)


def _size(content: Content, max_pixels: int, seconds: float) -> Size | DataError:
    if not isinstance(content, str):
        return content.shape[0], content.shape[1]
    try:
        with read_timeout(seconds):
            return image_size(content, max_pixels)
    except DataError as error:
        return error


def _read(record: Record, content: Content, max_pixels: int, seconds: float) -> np.ndarray:
    with read_timeout(seconds):
        if isinstance(content, str):
            pixels, size = read_scaled(content, max_pixels)
        else:
            pixels, size = content, content.shape[:2]
    if size != (record.height, record.width):
        raise DataError(f"{record.name}: it has not the size that its header says")
    return pixels

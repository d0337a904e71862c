"""Images that nobody has annotated: files, or images in memory, as a data set without boxes."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.images import MAX_PIXELS, image_size, read_image, to_rgb, upright
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.data.transforms import Size

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = Union[str, os.PathLike[str], "Image.Image", np.ndarray]
"""A file, Pillow's image, or pixels: (H, W, 3) uint8 RGB, or (H, W) uint8 grey."""

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
) -> Dataset:
    """A data set of images, in their order; image_id is the place among those given, from 0.

    Of files only the size is found out; they are read when their turn comes. Files that cannot be
    opened, or have more than `max_pixels`, go to `faults` and are left out.

    Raises:
        DataError: something else than images is given, or (faults.on_error "raise") a file cannot
            be opened.
    """
    if isinstance(images, str) or not isinstance(images, Sequence):
        kind = type(images).__name__
        raise DataError(f"got a {kind} in place of a list of images; a single one is [image]")
    contents = [_content(image, f"images[{i}]") for i, image in enumerate(images)]
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(lambda content: _size(content, max_pixels), contents))
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
        lambda record: _read(record, contents[record.image_id], max_pixels),
    )


def _content(image: ImageLike, name: str) -> Content:
    """An image in memory is made an array here, in one thread: it may be there more than once."""
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, Image.Image):
        try:
            return to_rgb(upright(image))
        except Exception as error:  # it may be a file that is only now decoded
            raise DataError(f"{name}: cannot be read ({error})") from error
    pixels = np.asarray(image)
    if pixels.dtype == np.uint8 and pixels.size and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)  # (H, W) -> (H, W, 3)
    if pixels.dtype != np.uint8 or not pixels.size or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(
            f"{name}: got {pixels.dtype} {pixels.shape}, takes uint8 (height, width, 3) or "
            "(height, width)"
        )
    return pixels


def _size(content: Content, max_pixels: int) -> Size | DataError:
    if not isinstance(content, str):
        return content.shape[0], content.shape[1]
    try:
        return image_size(content, max_pixels)
    except DataError as error:
        return error


def _read(record: Record, content: Content, max_pixels: int) -> np.ndarray:
    pixels = read_image(content, max_pixels) if isinstance(content, str) else content
    if pixels.shape[:2] != (record.height, record.width):
        raise DataError(f"{record.name}: it has not the size that its header says")
    return pixels

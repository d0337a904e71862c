"""Pictures that nobody has annotated: files, or pictures in memory, as a data set without boxes."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.pictures import picture_size, read_picture, to_rgb, upright
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.data.transforms import Size

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = Union[str, os.PathLike[str], "Image.Image", np.ndarray]
"""A file, Pillow's picture, or pixels: (H, W, 3) uint8 RGB, or (H, W) uint8 grey."""

Content = str | np.ndarray
"""The path of a file, or pixels (H, W, 3) uint8 RGB."""

THREADS = 4
"""Threads that look at files."""


def open_pictures(
    pictures: Sequence[Picture],
    class_names: tuple[str, ...],
    category_ids: tuple[int, ...],
    faults: FaultLog,
) -> Dataset:
    """A data set of pictures, in their order; image_id is the place among those given, from 0.

    Of files only the size is found out; they are read when their turn comes. Files that cannot be
    opened go to `faults` and are left out.

    Raises:
        DataError: something else than pictures is given, or (faults.on_error "raise") a file cannot
            be opened.
    """
    if isinstance(pictures, str) or not isinstance(pictures, Sequence):
        kind = type(pictures).__name__
        raise DataError(f"got a {kind} in place of a list of pictures; a single one is [picture]")
    contents = [_content(picture, f"pictures[{i}]") for i, picture in enumerate(pictures)]
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(_size, contents))
    records = []
    for place, (content, size) in enumerate(zip(contents, sizes, strict=True)):
        if isinstance(size, DataError):
            faults.add(size)
        else:
            file = content if isinstance(content, str) else ""
            name = file or f"pictures[{place}]"
            records.append(make_record(place, name, file, size, np.zeros((0, 4)), (), ()))
    return Dataset(
        "pictures",
        tuple(records),
        class_names,
        category_ids,
        lambda record: _read(record, contents[record.image_id]),
    )


def _content(picture: Picture, name: str) -> Content:
    """A picture in memory is made an array here, in one thread: it may be there more than once."""
    from PIL import Image

    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    if isinstance(picture, Image.Image):
        try:
            return to_rgb(upright(picture))
        except Exception as error:  # it may be a file that is only now decoded
            raise DataError(f"{name}: cannot be read ({error})") from error
    pixels = np.asarray(picture)
    if pixels.dtype == np.uint8 and pixels.size and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)  # (H, W) -> (H, W, 3)
    if pixels.dtype != np.uint8 or not pixels.size or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(
            f"{name}: got {pixels.dtype} {pixels.shape}, takes uint8 (height, width, 3) or "
            "(height, width)"
        )
    return pixels


def _size(content: Content) -> Size | DataError:
    if not isinstance(content, str):
        return content.shape[0], content.shape[1]
    try:
        return picture_size(content)
    except DataError as error:
        return error


def _read(record: Record, content: Content) -> np.ndarray:
    pixels = read_picture(content) if isinstance(content, str) else content
    if pixels.shape[:2] != (record.height, record.width):
        raise DataError(f"{record.name}: it has not the size that its header says")
    return pixels

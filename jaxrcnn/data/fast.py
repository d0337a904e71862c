"""Images by simplejpeg and OpenCV, several times as quick as by Pillow: data.decoder "fast".

What is decoded here has Pillow's pixels, except that of a large JPEG file only a half, a quarter or
an eighth of the pixels along each side are computed, where no more are needed. Files of any other
kind, and broken ones, are left to Pillow.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxrcnn.config import ConfigError, DataConfig
from jaxrcnn.wording import missing

if TYPE_CHECKING:
    from PIL import Image

JPEG = ("JPEG", "MPO")
"""Pillow's names of formats whose first frame is a JPEG image."""

MODES = ("RGB", "L")
"""Pillow's modes of JPEG images that are decoded here; the others are CMYK."""

FRACTIONS = (8, 4, 2)
"""Parts of each side, one of which a JPEG image can be decoded to in less time."""

LARGEST_HEADER = 2**20
"""Bytes that a JPEG file may have besides three per pixel; Pillow reads larger ones in pieces."""


class Decoding(NamedTuple):
    """How images are decoded."""

    fast: bool = False
    least: tuple[int, int] | None = None  # height and width that suffice; None for all pixels


BY_PILLOW = Decoding()

_DECODING: ContextVar[Decoding] = ContextVar("decoding", default=BY_PILLOW)


@contextlib.contextmanager
def decoding(data: DataConfig, least: tuple[int, int] | None = None) -> Iterator[None]:
    """Decode the images that are read within it, in this thread, as data.decoder says.

    Args:
        data: of the config.
        least: height and width that the records' images will be resized to, so that no more pixels
            need be computed; None computes all of them. Other resizing than Pillow's needs all.
    """
    smaller = data.decoder == "fast" and data.resize == "pillow"
    token = _DECODING.set(Decoding(data.decoder == "fast", least if smaller else None))
    try:
        yield
    finally:
        _DECODING.reset(token)


@contextlib.contextmanager
def all_pixels() -> Iterator[None]:
    """Decode all pixels of the images that are read within it, whatever `decoding` says."""
    token = _DECODING.set(_DECODING.get()._replace(least=None))
    try:
        yield
    finally:
        _DECODING.reset(token)


def require_decoder(data: DataConfig) -> None:
    """See that what data.decoder needs is installed.

    Raises:
        ConfigError: a package is missing; says how to install it.
    """
    if data.decoder == "fast":
        try:
            import simplejpeg  # noqa: F401

            _opencv()
        except ImportError as error:
            packages = "simplejpeg and OpenCV"
            raise ConfigError(missing("data.decoder=fast", packages, error, "fast")) from error


def fraction_for(size: tuple[int, int], orientation: int = 1) -> int:
    """Into how many parts each side is divided where fewer pixels suffice: 1, 2, 4 or 8.

    Args:
        size: height and width of the image as it is seen.
        orientation: by its EXIF tag. If it is turned, its sides are divided without remainder, so
            that the incomplete pixels are always those at the right and at the bottom.
    """
    least = _DECODING.get().least
    if least is None:
        return 1
    for parts in FRACTIONS:
        enough = all(side >= parts * wanted for side, wanted in zip(size, least, strict=True))
        if enough and (orientation == 1 or not any(side % parts for side in size)):
            return parts
    return 1


def decoded_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes that an image of this size may be decoded to."""
    fractions = (1, *FRACTIONS) if _DECODING.get().least else (1,)
    return [divided(size, parts) for parts in fractions]


def divided(size: tuple[int, int], parts: int) -> tuple[int, int]:
    """Height and width of an image of which one of so many parts of each side is decoded."""
    return -(-size[0] // parts), -(-size[1] // parts)


def parts_of(size: tuple[int, int], decoded: tuple[int, int]) -> int:
    """Into how many parts each side of an image of a size was divided to be decoded to another."""
    return next(parts for parts in (1, *reversed(FRACTIONS)) if divided(size, parts) == decoded)


def decode(image: "Image.Image", file: IO[bytes], parts: int = 1) -> np.ndarray | None:
    """Pixels of a JPEG file, (h, w, 3) uint8 RGB, as stored; None where Pillow has to decode it.

    Args:
        image: Pillow's, of which only the header is read.
        file: that holds it.
        parts: see `fraction_for`.
    """
    if not _DECODING.get().fast or image.format not in JPEG or image.mode not in MODES:
        return None
    size = image.height, image.width
    height, width = divided(size, parts)
    if file.seek(0, os.SEEK_END) > 3 * size[0] * size[1] + LARGEST_HEADER:
        return None
    import simplejpeg

    file.seek(0)
    content = file.read()
    least: dict[str, Any] = {"min_height": height, "min_width": width, "min_factor": parts}
    try:
        # Arithmetic coding, 12 bits, a torn file: Pillow decodes it, or says what is wrong with it.
        pixels = simplejpeg.decode_jpeg(content, "RGB", **(least if parts > 1 else {}))
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, 3) else None


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels as they are to be looked at, by the EXIF orientation."""
    if orientation in (5, 7):
        pixels = pixels.transpose(1, 0, 2)  # (H, W, 3) -> (W, H, 3)
    if orientation in (3, 7):
        pixels = pixels[::-1, ::-1]
    if orientation in (6, 8):
        pixels = np.rot90(pixels, -1 if orientation == 6 else 1)
    if orientation == 2:
        pixels = pixels[:, ::-1]
    if orientation == 4:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def enlarge(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image (H, W, 3) uint8 bilinearly resized to no fewer pixels (h, w) along either side.

    Its values differ from Pillow's by 1 at most, which are rounded after each of two passes.
    """
    cv2 = _opencv()
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


@functools.cache
def _opencv() -> Any:
    import cv2

    cv2.setNumThreads(1)  # batches are made in several threads or processes already
    return cv2

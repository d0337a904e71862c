"""Image files as a person expects to see them: upright, in colour, with 8 bits."""

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.transforms import Size

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
"""How images' names end, in any case: what of a folder is taken for an image."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

LARGEST = {"I": 65535, "F": 1}
"""White in grey images of more than 8 bits, by the beginning of Pillow's mode.

Files of 16 bits come as "I" too. Floats have no other custom than 0 to 1.
"""

_WARNINGS = threading.Lock()


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """An image file, turned as its EXIF tag says; of several frames or pages the first.

    Args:
        path: of the file, of any kind that Pillow reads.

    Returns:
        (H, W, 3) uint8 RGB, see `to_rgb`.

    Raises:
        DataError: it is missing, broken, torn, of no known kind, or so large when it is unpacked
            that Pillow takes it for an attack (``PIL.Image.MAX_IMAGE_PIXELS``).
    """
    try:
        with open_image(path) as image:
            return to_rgb(upright(image))
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly any type
        raise _unreadable(path, error) from error


def image_size(path: str | os.PathLike[str]) -> Size:
    """Height and width of what `read_image` gives; mostly the file's header says it.

    Raises:
        DataError: see `read_image`.
    """
    from PIL import ExifTags

    try:
        with open_image(path) as image:
            width, height = image.size
            sideways = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
            turned = image.format == "TIFF"  # there Pillow itself looks at the tag
    except Exception as error:
        raise _unreadable(path, error) from error
    return (width, height) if sideways and not turned else (height, width)


@contextlib.contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator["Image.Image"]:
    """Pillow's image of a file; its warning of a decompression bomb is an error.

    Raises:
        Exception: Pillow's, of nearly any type.
    """
    from PIL import Image

    # The filters belong to the whole process, and images are read in threads.
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(path)
    with image:
        yield image


def upright(image: "Image.Image") -> "Image.Image":
    """The image as it is to be looked at, turned as its EXIF tag says; the argument stays."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def to_rgb(image: "Image.Image") -> np.ndarray:
    """Pixels of an image in any of Pillow's modes, (H, W, 3) uint8 RGB.

    What is transparent lies on white. Grey of 16 bits is scaled to 8, and so are integers of 32
    bits, from 0 to 65535, and floats, from 0 to 1.

    Raises:
        ValueError: a value that is not from this range, or a mode that Pillow cannot turn into RGB.
    """
    from PIL import Image

    if image.mode[0] in LARGEST:
        return _deep_to_rgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return np.asarray(white)
    return np.asarray(image.convert("RGB"))


def _deep_to_rgb(image: "Image.Image") -> np.ndarray:
    """Pixels of grey with more than 8 bits; a PNG may have one value that is transparent."""
    largest = LARGEST[image.mode[0]]
    values = np.asarray(image)
    if not (values.min() >= 0 and values.max() <= largest):  # so, NaN is refused too
        found = f"{values.min():g} to {values.max():g}"
        raise ValueError(f"its values go from {found}, those of such an image from 0 to {largest}")
    grey = np.rint(values * np.float32(255 / largest)).astype(np.uint8)
    grey[values == image.info.get("transparency", -1)] = 255
    return np.repeat(grey[..., None], 3, axis=2)  # (H, W) -> (H, W, 3)


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DataError:
    from PIL import UnidentifiedImageError

    what = (
        getattr(error, "strerror", None) or f"cannot be read ({str(error) or type(error).__name__})"
    )
    if isinstance(error, UnidentifiedImageError):
        what = "no image, or one that is broken at once, or of a kind that Pillow does not know"
    return DataError(" ".join(f"{os.fspath(path)}: {what}".split()))

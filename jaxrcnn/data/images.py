"""Image files as a person expects to see them: upright, in colour, with 8 bits."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.config import DataConfig
from jaxrcnn.data import fast
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.jpeg_header import read_jpeg_header
from jaxrcnn.data.transforms import Size
from jaxrcnn.opening import open_file, read_beginning

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
"""How images' names end, in any case: what of a folder is taken for an image."""

PROGRAMS = ("EPS",)
"""What Pillow calls formats that it gives to another program to run: PostScript, to Ghostscript."""

HEAD = 2**14
"""Bytes at the beginning of a file that most often say how large its image is."""

BODY = 2**20
"""Bytes that hold the whole file of most images."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

MAX_PIXELS = DataConfig.max_pixels
"""Height times width of the largest image that is read unless another limit is given."""

STRIP = 2**22
"""Pixels that are converted at a time: of large images, Pillow's copies would fill the memory."""

LARGEST = {"I": 65535, "F": 1}
"""White in grey images of more than 8 bits, by the beginning of Pillow's mode.

Files of 16 bits come as "I" too. Floats have no other custom than 0 to 1.
"""


def read_image(
    path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, *, as_stored: bool = False
) -> np.ndarray:
    """An image file as a viewer shows it, turned as its EXIF tag says; of several frames the first.

    Args:
        path: of the file, of any kind that Pillow reads.
        max_pixels: height times width of the largest image that is read, see data.max_pixels.
        as_stored: leave the EXIF tag out where it exchanges width and height.

    Returns:
        (H, W, 3) uint8 RGB, see `to_rgb`.

    Raises:
        DataError: it is missing, no regular file, broken, torn, of no known kind, has more pixels,
            or is not read in time, see `jaxrcnn.opening.read_timeout`.
    """
    return _read(path, max_pixels, as_stored, whole=True).pixels


class Scaled(NamedTuple):
    """An image, perhaps at a fraction of its size."""

    pixels: np.ndarray  # (h, w, 3) uint8 RGB
    size: Size  # height and width of the whole image


def read_scaled(
    path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, *, as_stored: bool = False
) -> Scaled:
    """The same, perhaps with fewer pixels where `jaxrcnn.data.fast.decoding` allows it.

    Raises:
        DataError: see `read_image`.
    """
    return _read(path, max_pixels, as_stored, whole=False)


def _read(path: str | os.PathLike[str], max_pixels: int, as_stored: bool, whole: bool) -> Scaled:
    from PIL import ExifTags, ImageOps

    try:
        with open_file(path, BODY) as file, open_image(file, max_pixels) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            turn = 1 if as_stored and orientation in SIDEWAYS else orientation
            height, width = image.height, image.width
            size = (width, height) if turn in SIDEWAYS else (height, width)
            parts = 1 if whole else fast.fraction_for(size, turn)
            decoded = fast.decode(image, file, parts)
            if decoded is not None:
                return Scaled(fast.turned(decoded, turn), size)
            ImageOps.exif_transpose(image, in_place=True)
            pixels = to_rgb(image)
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly any type
        raise _unreadable(path, error) from error
    if as_stored:
        pixels = np.ascontiguousarray(_turn_back(pixels, orientation))
    return Scaled(pixels, (pixels.shape[0], pixels.shape[1]))


class Header(NamedTuple):
    """What the beginning of an image file says."""

    size: Size  # height and width of the image as it is seen
    sideways: bool  # its EXIF tag exchanges height and width of what is stored

    @property
    def stored_size(self) -> Size:
        """Height and width before the EXIF tag turns the image."""
        height, width = self.size
        return (width, height) if self.sideways else (height, width)


def read_header(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Header:
    """Look at the beginning of an image file, without decoding it.

    The tag of a PNG may also follow its pixels, where only `image_size` and `read_image` find it.

    Raises:
        DataError: see `read_image`.
    """
    from PIL import Image

    try:
        found = read_jpeg_header(read_beginning(path, HEAD))
    except Exception as error:
        raise _unreadable(path, error) from error
    if found and found.size[0] * found.size[1] <= max_pixels:
        height, width = found.size
        sideways = found.orientation in SIDEWAYS
        return Header((width, height) if sideways else (height, width), sideways)
    # That of the class is quick: PngImageFile's own would decode the image first.
    return _header(path, max_pixels, Image.Image.getexif)


def read_orientation(path: str | os.PathLike[str], max_pixels: int = 2**62) -> int:
    """The orientation that an image file's EXIF tag says, 1 to 8; 1 where there is none.

    As for `read_header`, without the tag that may follow the pixels of a PNG.

    Raises:
        DataError: see `read_image`.
    """
    from PIL import ExifTags, Image

    try:
        with open_file(path, HEAD) as file, open_image(file, max_pixels) as image:
            found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception as error:
        raise _unreadable(path, error) from error
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def image_size(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Size:
    """Height and width of what `read_image` gives.

    Raises:
        DataError: see `read_image`.
    """
    return _header(path, max_pixels, lambda image: image.getexif()).size


def _header(
    path: str | os.PathLike[str],
    max_pixels: int,
    read_exif: Callable[["Image.Image"], "Image.Exif"],
) -> Header:
    from PIL import ExifTags

    try:
        with open_file(path, HEAD) as file, open_image(file, max_pixels) as image:
            width, height = image.size
            sideways = read_exif(image).get(ExifTags.Base.Orientation) in SIDEWAYS
            turned = image.format == "TIFF"  # there Pillow itself looks at the tag
    except Exception as error:
        raise _unreadable(path, error) from error
    return Header((width, height) if sideways and not turned else (height, width), sideways)


class TooManyPixels(ValueError):
    """An image is larger than the limit."""


@contextlib.contextmanager
def open_image(file: IO[bytes], max_pixels: int = MAX_PIXELS) -> Iterator["Image.Image"]:
    """Pillow's image of an open file; ours is the only limit of its pixels.

    Raises:
        TooManyPixels: it has more pixels.
        ValueError: it is a program that draws an image.
        Exception: Pillow's, of nearly any type.
    """
    from PIL import Image

    with _NO_LIMIT:
        image = Image.open(file)
    with image:
        if image.format in PROGRAMS:
            raise ValueError(
                f"{image.format} is a program, which would have to be run; save it as PNG"
            )
        width, height = image.size
        if width * height > max_pixels:
            raise TooManyPixels(
                f"its {width}x{height} pixels are more than data.max_pixels={max_pixels}; "
                "raise that if you trust the file"
            )
        yield image


class _NoLimit:
    """While any thread is in it, Pillow has no limit of pixels; it belongs to the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit: int | None = None

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if self._inside == 0:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Image.MAX_IMAGE_PIXELS = self._limit


_NO_LIMIT = _NoLimit()


def upright(image: "Image.Image") -> "Image.Image":
    """The image as it is to be looked at, turned as its EXIF tag says; the argument stays."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _turn_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels that an orientation among `SIDEWAYS` has turned, as they were; others unchanged."""
    if orientation == 5:
        return pixels.transpose(1, 0, 2)
    if orientation == 6:
        return np.rot90(pixels)
    if orientation == 7:
        return pixels[::-1, ::-1].transpose(1, 0, 2)
    if orientation == 8:
        return np.rot90(pixels, -1)
    return pixels


def to_rgb(image: "Image.Image") -> np.ndarray:
    """Pixels of an image in any of Pillow's modes, (H, W, 3) uint8 RGB.

    What is transparent lies on white. Grey of 16 bits is scaled to 8, and so are integers of 32
    bits, from 0 to 65535, and floats, from 0 to 1.

    Raises:
        ValueError: a value that is not from this range, or a mode that Pillow cannot turn into RGB.
    """
    width, height = image.size
    rows = max(1, STRIP // max(1, width))
    if height <= rows:
        return _strip_to_rgb(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = _strip_to_rgb(image.crop((0, top, width, bottom)))
    return pixels


def _strip_to_rgb(image: "Image.Image") -> np.ndarray:
    """`to_rgb` at once, by copies of the whole image."""
    from PIL import Image

    if image.mode[0] in LARGEST:
        return _deep_to_rgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return np.asarray(white)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


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
    if isinstance(error, TooManyPixels):
        what = str(error)
    if isinstance(error, UnidentifiedImageError):
        what = "not an image, or damaged, or of a type that Pillow does not support"
    kind = "image-too-large" if isinstance(error, TooManyPixels) else "image-unreadable"
    return DataError(" ".join(f"{os.fspath(path)}: {what}".split()), kind)

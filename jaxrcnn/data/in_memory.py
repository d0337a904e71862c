"""Images that a program hands over: Pillow's, arrays, the bytes of files."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.images import MAX_PIXELS, open_image, to_rgb, upright

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = Union[
    str, os.PathLike[str], "Image.Image", np.ndarray, bytes, bytearray, memoryview, IO[bytes]
]
"""The path of a file, an open file, its bytes, Pillow's image, or pixels.

Pixels are uint8: (H, W, 3) RGB, (H, W, 4) RGBA, (H, W, 1) or (H, W) grey.
"""

CHANNELS = (1, 3, 4)


def check_list(images: Any) -> None:
    """See that images come in a list or a tuple.

    Raises:
        DataError: they do not; says how to make one.
    """
    if isinstance(images, Sequence) and not isinstance(
        images, str | bytes | bytearray | memoryview
    ):
        return
    shape = getattr(images, "shape", None)
    many = hasattr(images, "__iter__") and not hasattr(images, "read") and not _is_path(images)
    hint = "wrap a single image in a list, [image]"
    if isinstance(images, Mapping):
        hint = "list(images.values()) is one"
    elif (len(shape) not in (2, 3)) if shape is not None else many and not _is_bytes(images):
        hint = "list(images) is one"
    got = _kind(images) if shape is None else f"an array of shape {tuple(shape)}"
    raise DataError(f"expected a list of images, got {got}; {hint}")


def to_pixels(image: Any, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Pixels of an image in memory or of an open file, (H, W, 3) uint8 RGB.

    Files and Pillow's images are seen as `jaxrcnn.data.images.read_image` sees files.

    Args:
        image: an `ImageLike` that is not a path.
        name: how to call it in an error.
        max_pixels: height times width of the largest file that is read, see data.max_pixels.

    Raises:
        DataError: it is no image, or cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(image, io.TextIOBase):
        raise DataError(f'{name}: the file is open as text; use open(path, "rb")')
    try:
        if isinstance(image, Image.Image):
            return to_rgb(upright(image))
        if _is_bytes(image) or hasattr(image, "read"):
            file: Any = io.BytesIO(image) if _is_bytes(image) else image
            with open_image(file, max_pixels) as opened:
                return to_rgb(upright(opened))
    except UnidentifiedImageError as error:
        what = "these bytes are not an image file that Pillow can read; a path is a str"
        raise DataError(f"{name}: {what}") from error
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly any type
        raise DataError(f"{name}: cannot be read ({' '.join(str(error).split())})") from error
    return _of_array(image, name)


def _of_array(image: Any, name: str) -> np.ndarray:
    try:
        pixels = np.asarray(image)
    except Exception as error:  # a tensor on another device, or one that has a gradient
        what = f"{_kind(image)} cannot be read as an array ({error})"
        raise DataError(" ".join(f"{name}: {what}".split())) from error
    if pixels.dtype == object or pixels.ndim == 0:
        kinds = "a path, Pillow's image, the bytes of a file or an array"
        raise DataError(f"{name}: got {_kind(image)}, expected {kinds}")
    if pixels.ndim == 2:
        pixels = pixels[..., None]  # (H, W) -> (H, W, 1)
    advice = _advice(image, pixels)
    if advice:
        got = f"{pixels.dtype} {np.shape(image)}"
        takes = "uint8 (height, width, 3), RGB"
        raise DataError(f"{name}: got {got}, expected {takes}: {', '.join(advice)}")
    if pixels.shape[2] == 4:
        from PIL import Image

        return to_rgb(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _advice(image: Any, pixels: np.ndarray) -> list[str]:
    """What to do with an array that is no image; nothing for one that is."""
    advice = []
    if pixels.ndim == 4:
        advice.append("list(images) gives the images of a batch one by one")
    elif not pixels.size:
        advice.append("it has no pixels")
    elif pixels.ndim != 3:
        advice.append("it has neither 2 nor 3 dimensions")
    elif pixels.shape[2] not in CHANNELS and pixels.shape[0] in CHANNELS:
        torch = type(image).__module__.partition(".")[0] == "torch"
        advice.append(f"image.{'permute' if torch else 'transpose'}(1, 2, 0) puts channels last")
    elif pixels.shape[2] not in CHANNELS:
        advice.append("it has neither 1, 3 nor 4 channels")
    if pixels.dtype.kind == "f":
        small = pixels.size and np.nanmax(pixels) <= 1
        advice.append(f"{'(255 * image)' if small else 'image'}.round() as uint8 may be meant")
    elif pixels.dtype != np.uint8:
        advice.append("scale its values to 0..255 and convert it to uint8")
    return advice


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)

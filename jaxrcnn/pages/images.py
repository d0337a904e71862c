"""Images inside a page."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JPEG_QUALITY = 80


def thumbnail(image: np.ndarray, side: int) -> str:
    """A small copy of an image as the data URI of a JPEG.

    Args:
        image: RGB, (height, width, 3) uint8.
        side: its longer side in pixels; a smaller image keeps its size.
    """
    from PIL import Image

    small = Image.fromarray(image)
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=JPEG_QUALITY)
    return _uri("jpeg", file.getvalue())


def png_uri(source: "Figure | bytes") -> str:
    """A plot as the data URI of a PNG.

    Args:
        source: a figure, or the contents of a PNG file.
    """
    if isinstance(source, bytes):
        return _uri("png", source)
    file = io.BytesIO()
    source.savefig(file, format="png")
    return _uri("png", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

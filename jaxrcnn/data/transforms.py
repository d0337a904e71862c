"""Resizing and mirroring of images with their boxes, in numpy and Pillow."""

import math
from typing import Literal

import numpy as np

Size = tuple[int, int]
"""Height and width in pixels."""

Resize = Literal["pillow", "torchvision"]
"""Whose resizing: see `resize`."""

PIXELS: dict[Resize, type] = {"pillow": np.uint8, "torchvision": np.float32}
"""Type of a resized image's values, all 0..255."""


def resized_size(size: Size, short_side: int, long_side: int, method: Resize = "pillow") -> Size:
    """Size that brings the short side to `short_side`, the long one to `long_side` at most.

    The steps and the rounding are the peers', in Python's floats, so that the size is theirs to the
    pixel: torchvision 0.29 rounds both sides down after one scaling (0.14 scaled in float32), and
    Detectron2 0.6 scales in two steps and rounds to the nearest.

    Args:
        size: height and width of the image.
        short_side, long_side: pixels.
        method: "torchvision", or "pillow" for Detectron2's.

    Returns:
        Height and width in whole pixels, at least one.

    Source: Fast R-CNN (1504.08083), section 5; torchvision's ``_resize_image_and_masks``,
        Detectron2's ``ResizeShortestEdge``.
    """
    height, width = size
    scale = short_side / min(size)
    if method == "torchvision":
        scale = min(scale, long_side / max(size))
        return max(1, math.floor(height * scale)), max(1, math.floor(width * scale))
    if height < width:
        new_height, new_width = float(short_side), scale * width
    else:
        new_height, new_width = scale * height, float(short_side)
    if max(new_height, new_width) > long_side:
        scale = long_side / max(new_height, new_width)
        new_height, new_width = new_height * scale, new_width * scale
    return max(1, int(new_height + 0.5)), max(1, int(new_width + 0.5))


def resize(
    image: np.ndarray, boxes: np.ndarray, size: Size, method: Resize = "pillow"
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image bilinearly, and its boxes.

    Args:
        image: (H, W, 3) uint8.
        boxes: (G, 4) float32 in pixels of `image`.
        size: wanted height and width.
        method: "pillow" is antialiased where the image shrinks, and its values are whole;
            "torchvision" weighs the four nearest pixels, in float32 (``interpolate`` with mode
            "bilinear", corners not aligned, as in its detectors' transform).

    Returns:
        The image, (h, w, 3) uint8 or float32, 0..255, and the boxes scaled by h / H and w / W,
        (G, 4) float32.
    """
    y_scale, x_scale = size[0] / image.shape[0], size[1] / image.shape[1]
    scales = np.array([x_scale, y_scale, x_scale, y_scale], np.float32)
    resize_image = _resize_by_neighbours if method == "torchvision" else _resize_by_pillow
    return resize_image(image, size), boxes * scales


def _resize_by_pillow(image: np.ndarray, size: Size) -> np.ndarray:
    from PIL import Image

    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _resize_by_neighbours(image: np.ndarray, size: Size) -> np.ndarray:
    above, below, row_share = _neighbours(image.shape[0], size[0])
    left, right, column_share = _neighbours(image.shape[1], size[1])
    pixels, down, across = image.astype(np.float32), row_share[:, None, None], column_share[:, None]
    pixels = pixels[above] * (1 - down) + pixels[below] * down  # (H, W, 3) -> (h, W, 3)
    return pixels[:, left] * (1 - across) + pixels[:, right] * across  # (h, W, 3) -> (h, w, 3)


def _neighbours(length: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every new pixel along an axis: the pixels before and behind it, and the latter's share."""
    # Product and difference are rounded once, as by the fused operation that torch 2.14 has here.
    centres = (np.arange(wanted) + 0.5) * float(np.float32(length / wanted)) - 0.5
    centres = np.maximum(centres.astype(np.float32), 0)
    before = centres.astype(np.int32)
    return before, np.minimum(before + 1, length - 1), centres - np.floor(centres)


def horizontal_flip(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror an image (H, W, 3) left to right, and its boxes (G, 4) float32: x becomes W - x."""
    width = np.float32(image.shape[1])
    x0, y0, x1, y1 = boxes.T
    mirrored = np.empty_like(image)
    for channel in range(image.shape[2]):  # all at once, numpy copies three bytes at a time
        mirrored[..., channel] = image[:, ::-1, channel]
    return mirrored, np.stack([width - x1, y0, width - x0, y1], axis=1)


def vertical_flip(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror an image (H, W, 3) top to bottom, and its boxes (G, 4) float32: y becomes H - y."""
    height = np.float32(image.shape[0])
    x0, y0, x1, y1 = boxes.T
    return image[::-1], np.stack([x0, height - y1, x1, height - y0], axis=1)

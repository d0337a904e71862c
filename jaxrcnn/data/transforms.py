"""Resizing, flipping and cropping of images with all that belongs to them, in numpy and Pillow."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from jaxrcnn.data.fast import enlarge, parts_of
from jaxrcnn.data.sample import ImageProposals, Sample

Size = tuple[int, int]
"""Height and width in pixels."""

Window = tuple[int, int, int, int]
"""y0, x0, y1, x1 in whole pixels of an image; y1 and x1 are not part of it."""

Decoder = Literal["pillow", "fast"]
"""By which libraries: see data.decoder."""

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


def fitted_size(size: Size, canvas: Size) -> Size:
    """The largest size with the aspect of `size` that fits into `canvas`, at least one pixel."""
    (height, width), (most_rows, most_columns) = size, canvas
    if most_rows * width <= most_columns * height:
        return most_rows, max(1, (2 * width * most_rows + height) // (2 * height))
    return max(1, (2 * height * most_columns + width) // (2 * width)), most_columns


def resize(
    sample: Sample, size: Size, method: Resize = "pillow", decoder: Decoder = "pillow"
) -> Sample:
    """Resize an image bilinearly, its maps to the nearest pixel, and scale its boxes.

    Args:
        sample: with an image (H, W, 3) uint8.
        size: wanted height and width (h, w).
        method: "pillow" is antialiased where the image shrinks, and its values are whole;
            "torchvision" weighs the four nearest pixels, in float32 (``interpolate`` with mode
            "bilinear", corners not aligned, as in its detectors' transform).
        decoder: with "fast" and "pillow", OpenCV resizes images that shrink along no side.

    Returns:
        The sample with an image (h, w, 3) uint8 or float32, 0..255, and boxes and proposals scaled
        by h / H and w / W. A map's pixel is that of the old map in which its centre lies.
    """
    height, width = sample.size
    y_scale, x_scale = size[0] / height, size[1] / width
    scales = np.array([x_scale, y_scale, x_scale, y_scale], np.float32)
    if method == "torchvision":
        image = _resize_by_neighbours(sample.image, size)
    elif decoder == "fast" and all(new >= old for new, old in zip(size, sample.size, strict=True)):
        image = enlarge(sample.image, size)
    else:
        image = _resize_by_pillow(sample.image, size, sample.size)
    pixels = np.ix_(_nearest(height, size[0]), _nearest(width, size[1]))
    return changed(
        dataclasses.replace(sample, full_size=None),
        image,
        lambda boxes: boxes * scales,
        lambda array: array[pixels],
    )


def _nearest(length: int, wanted: int) -> np.ndarray:
    """Of every new pixel along an axis: the old one in which its centre lies."""
    return (2 * np.arange(wanted) + 1) * length // (2 * wanted)


def changed(
    sample: Sample,
    image: np.ndarray,
    move: Callable[[np.ndarray], np.ndarray],
    change: Callable[[np.ndarray], np.ndarray],
) -> Sample:
    """The sample with another image.

    Args:
        sample: to be changed.
        image: in place of its own.
        move: gives the new boxes (n, 4) of old ones, for ground truth and proposals alike.
        change: gives the new map of an old one.
    """
    maps, proposals = sample.maps, sample.proposals
    return dataclasses.replace(
        sample,
        image=image,
        boxes=move(sample.boxes),
        extra={name: change(x) if name in maps else x for name, x in sample.extra.items()},
        proposals=proposals and proposals._replace(boxes=move(proposals.boxes)),
    )


def _resize_by_pillow(image: np.ndarray, size: Size, full_size: Size) -> np.ndarray:
    """The image resized; where it is a fraction of a whole, its last pixels may be incomplete."""
    from PIL import Image

    if size == full_size:
        return image
    parts = parts_of(full_size, (image.shape[0], image.shape[1]))
    whole = (0.0, 0.0, full_size[1] / parts, full_size[0] / parts)
    return np.asarray(
        Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=whole)
    )


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


def horizontal_flip(sample: Sample) -> Sample:
    """Mirror a sample left to right: x becomes W - x."""
    image, width = sample.image, np.float32(sample.image.shape[1])
    mirrored = np.empty_like(image)
    for channel in range(image.shape[2]):  # all at once, numpy copies three bytes at a time
        mirrored[..., channel] = image[:, ::-1, channel]

    def move(boxes: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = boxes.T
        return np.stack([width - x1, y0, width - x0, y1], axis=1)

    return changed(sample, mirrored, move, lambda array: array[:, ::-1])


def vertical_flip(sample: Sample) -> Sample:
    """Mirror a sample top to bottom: y becomes H - y."""
    height = np.float32(sample.image.shape[0])

    def move(boxes: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = boxes.T
        return np.stack([x0, height - y1, x1, height - y0], axis=1)

    return changed(sample, sample.image[::-1], move, lambda array: array[::-1])


def keep_boxes(sample: Sample, mask: np.ndarray) -> Sample:
    """The sample with those boxes alone, and their rows, for which `mask` (g,) bool is True."""
    return dataclasses.replace(
        sample,
        boxes=sample.boxes[mask],
        labels=sample.labels[mask],
        ignore=sample.ignore[mask],
        box_extra={name: rows[mask] for name, rows in sample.box_extra.items()},
    )


def crop(sample: Sample, window: Window) -> Sample:
    """Cut a window out of a sample.

    Boxes and proposals are clipped. A box is dropped if its centre lies outside of the window; one
    to ignore stays as long as a part of it does, since there may still be objects in it. Proposals
    without area are dropped.

    Args:
        sample: to be cut.
        window: y0, x0, y1, x1 in whole pixels, inside the image; y1 and x1 are not part of it.

    Raises:
        ValueError: the window is empty or reaches out of the image.
    """
    (y0, x0, y1, x1), (height, width) = window, sample.image.shape[:2]
    if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
        raise ValueError(
            f"crop: the window y0={y0}, x0={x0}, y1={y1}, x1={x1} is empty or "
            f"extends beyond the image of {width}x{height} pixels (width x height)"
        )
    cut, inside = clip(sample, window), have_centres(sample.boxes, window)
    return keep_boxes(cut, (inside | sample.ignore) & have_area(cut.boxes))


def clip(sample: Sample, window: Window) -> Sample:
    """Cut a window out of a sample, and keep all boxes, those that have nothing left too.

    Proposals without area are dropped. What `final_size` says is scaled like the image's sides.
    """
    y0, x0, y1, x1 = window
    low, high = np.array([x0, y0] * 2, np.float32), np.array([x1, y1] * 2, np.float32)
    cut = changed(
        in_proportion(sample, (y1 - y0, x1 - x0)),
        sample.image[y0:y1, x0:x1],
        lambda boxes: np.clip(boxes, low, high) - low,
        lambda array: array[y0:y1, x0:x1],
    )
    if cut.proposals is None:
        return cut
    boxes, scores = cut.proposals
    real = have_area(boxes)
    return dataclasses.replace(cut, proposals=ImageProposals(boxes[real], scores[real]))


def in_proportion(sample: Sample, size: Size) -> Sample:
    """The sample with the `final_size` that it has at the same scale once it is of this size."""
    if sample.final_size is None:
        return sample
    sides = zip(sample.final_size, size, sample.image.shape[:2], strict=True)
    height, width = (max(1, round(final * new / old)) for final, new, old in sides)
    return dataclasses.replace(sample, final_size=(height, width))


def have_centres(boxes: np.ndarray, window: Window) -> np.ndarray:
    """Which of the boxes (n, 4) have their centre in a window, (n,) bool."""
    y0, x0, y1, x1 = window
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.all((centres >= (x0, y0)) & (centres < (x1, y1)), axis=1)


def have_area(boxes: np.ndarray) -> np.ndarray:
    """Which of the boxes (n, 4) have an area, (n,) bool."""
    return np.all(boxes[:, 2:] > boxes[:, :2], axis=1)


@dataclasses.dataclass(frozen=True)
class RandomFlip:
    """A transform: `flip` a sample with this probability, and never in evaluation."""

    flip: Callable[[Sample], Sample]
    probability: float

    def __call__(self, sample: Sample, record: object, rng: np.random.Generator | None) -> Sample:
        """The sample, flipped or as it is."""
        drawn = rng is not None and rng.random() < self.probability
        return self.flip(sample) if drawn else sample

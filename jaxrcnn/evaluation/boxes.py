"""What evaluation does with boxes, in numpy."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxrcnn.data.records import Record

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}
"""COCO's sizes, smallest and largest area; an object on the border of two belongs to both."""


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area that boxes (..., 4) and (..., 4) share, in square pixels; their shapes are broadcast."""
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    return sides[..., 0].clip(min=0) * sides[..., 1].clip(min=0)  # faster than a short axis' prod


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of boxes (..., 4), in square pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair, (D, 4) and (G, 4) -> (D, G) float64."""
    a, b = a[:, None].astype(np.float64), b[None].astype(np.float64)
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return shared / np.where(union > 0, union, 1)


def to_original(boxes: np.ndarray, scale: np.ndarray, record: "Record") -> np.ndarray:
    """Boxes (D, 4) in pixels of the network's input, in those of the original image.

    Args:
        boxes: (D, 4) xyxy.
        scale: (2,) resized height and width over the original ones.
        record: of the image.

    Returns:
        (D, 4) float32, cut at the image's border.
    """
    limits = np.array([record.width, record.height, record.width, record.height], np.float32)
    return np.clip(boxes / scale[[1, 0, 1, 0]], 0, limits).astype(np.float32)

"""Bad input is found when a data set is opened, and is never dropped in silence."""

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np

from jaxrcnn.data.errors import DataError

TOLERANCE = 1.0
"""Pixels by which a box may reach out of its image; annotations of COCO are rounded that far."""


class FaultLog:
    """What to do with faulty records: stop at the first, or leave them out and keep their lines."""

    def __init__(self, on_error: Literal["raise", "skip"]) -> None:
        self.on_error = on_error
        self.lines: list[str] = []

    def add(self, error: DataError) -> None:
        """Raise the error, or note that its record is left out."""
        if self.on_error == "raise":
            raise error
        self.lines.append(str(error))


def check_image(file: str) -> None:
    """Raise ValueError where the image of a record is missing."""
    if not os.path.isfile(file):
        raise ValueError("the image file is missing")


def check_size(height: object, width: object) -> tuple[int, int]:
    """The annotated size as integers; ValueError where it is none of an image."""
    sides = [side for side in (height, width) if type(side) is int and side > 0]
    if len(sides) < 2:
        raise ValueError(f"height {height} and width {width} are no size of an image")
    return sides[0], sides[1]


def check_boxes(
    boxes: np.ndarray, height: int, width: int, names: Sequence[str]
) -> tuple[np.ndarray, int]:
    """Check boxes against their image and cut what reaches out of it by up to `TOLERANCE`.

    Args:
        boxes: (G, 4) float64, xyxy in pixels of the image.
        height: of the image, pixels.
        width: of the image, pixels.
        names: of the boxes, for the message.

    Returns:
        The boxes as float32, all with an area and inside the image, and how many were cut.

    Raises:
        ValueError: a coordinate that is not finite, an empty or inverted box, or one that lies
            outside the image or reaches out too far.
    """
    limits = np.array([width, height, width, height], np.float64)
    inside = np.clip(boxes, 0.0, limits)
    cut = np.any(boxes != inside, axis=1)
    inside = inside.astype(np.float32)
    image = f"the image of {width}x{height} pixels"
    faults = (
        (~np.isfinite(boxes).all(axis=1), "has a coordinate that is not finite"),
        (np.any(boxes[:, 2:] <= boxes[:, :2], axis=1), "is empty or inverted"),
        (np.any(inside[:, 2:] <= inside[:, :2], axis=1), f"lies outside {image}"),
        (np.any(np.abs(boxes - inside) > TOLERANCE, axis=1), f"reaches out of {image}"),
    )
    for is_faulty, what in faults:
        if is_faulty.any():
            index = int(is_faulty.argmax())
            corners = ", ".join(f"{value:g}" for value in boxes[index])
            raise ValueError(f"{names[index]} ({corners}) {what}")
    return inside, int(cut.sum())

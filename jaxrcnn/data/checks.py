"""Bad input is found when a data set is opened, and is never dropped in silence."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError, Fault

TOLERANCE = 1.0
"""Pixels by which a box may reach out of its image; annotations of COCO are rounded that far."""


class FaultLog:
    """What to do with faulty records: stop at the first, or leave them out and keep their lines."""

    def __init__(self, on_error: Literal["raise", "skip"]) -> None:
        self.on_error = on_error
        self.lines: list[str] = []
        self.faults: list[Fault] = []
        """What is wrong with each record that is left out, and the remarks."""
        self.lost_images = 0
        """How many images are left out as a whole."""

    def add(self, error: DataError, loses_image: bool = False) -> None:
        """Raise the error, or note that its record, an image as a whole or not, is left out."""
        if self.on_error == "raise":
            raise error
        self.lines.append(str(error))
        self.lost_images += loses_image
        self.remark(error)

    def remark(self, error: DataError) -> None:
        """Note what is left out and counted, and never stops a reader."""
        if error.fault is not None:
            self.faults.append(error.fault)


class CheckedBoxes(NamedTuple):
    """Boxes of an image, and what is to be said of each."""

    boxes: np.ndarray  # (G, 4) float32, xyxy, cut at the border of the image
    cut: np.ndarray  # (G,) bool, reached out of the image by up to `TOLERANCE`
    empty: np.ndarray  # (G,) bool, without width or height
    faults: dict[int, str]  # by the place of a box, what is wrong with it ...
    kinds: dict[int, str]  # ... and of which kind that is

    @property
    def good(self) -> np.ndarray:
        """(G,) bool, boxes that are inside of the image and have an area."""
        good = ~self.empty
        good[list(self.faults)] = False
        return good


def check_boxes(
    boxes: np.ndarray, height: int | np.ndarray, width: int | np.ndarray
) -> CheckedBoxes:
    """Check boxes against their image and cut what reaches out of it by up to `TOLERANCE`.

    A box is at fault where a coordinate is not finite, where it is inverted, and where it lies
    outside of the image or reaches out too far. One without width or height is empty.

    Args:
        boxes: (G, 4) float64, xyxy in pixels of the image.
        height: of the image in pixels, or of that of each box, (G,).
        width: the same.
    """
    sides = [np.broadcast_to(side, len(boxes)) for side in (width, height)]
    limits = np.stack(sides * 2, axis=1).astype(np.float64)  # (G, 4)
    inside = np.clip(boxes, 0.0, limits)
    with np.errstate(invalid="ignore", over="ignore"):  # of what is not finite
        exact = boxes[:, 2:] - boxes[:, :2]  # (G, 2) width and height
    rounded = inside.astype(np.float32)
    finite = np.isfinite(boxes).all(axis=1)
    empty = finite & (exact >= 0).all(axis=1) & (exact == 0).any(axis=1)
    kinds = (
        (~finite, "box-not-finite", "has a coordinate that is not finite"),
        ((exact < 0).any(axis=1), "box-inverted", "is inverted"),
        ((inside[:, 2:] <= inside[:, :2]).any(axis=1), "box-outside", "lies outside {image}"),
        (
            (np.abs(boxes - inside) > TOLERANCE).any(axis=1),
            "box-reaches-out",
            "extends beyond {image}",
        ),
    )
    faults: dict[int, str] = {}
    kind_of: dict[int, str] = {}
    for is_faulty, kind, what in kinds:
        for place in np.flatnonzero(is_faulty & ~empty).tolist():
            image = "the image of {}x{} pixels".format(*(int(side[place]) for side in sides))
            faults.setdefault(place, f"the box ({shown(boxes[place])}) {what.format(image=image)}")
            kind_of.setdefault(place, kind)
    empty |= (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)  # thinner than float32 can tell
    empty[list(faults)] = False
    return CheckedBoxes(rounded, (boxes != inside).any(axis=1), empty, faults, kind_of)


EMPTY = "box-empty"
"""The kind of boxes without width or height, which are left out and counted."""


def shown(box: Iterable[float]) -> str:
    """The corners of a box for a message, ``1, 2, 3.5, 4``."""
    return ", ".join(f"{value:g}" for value in box)


def describe_empty(box: np.ndarray) -> str:
    """What to say of a box without width or height, (4,) xyxy."""
    return f"the box ({shown(box)}) has no width or no height"


NORMALISED = (
    "all boxes are between 0 and 1, but boxes are in pixels: multiply x and width by the width of "
    "the image, y and height by its height"
)


def are_normalised(images: Iterable[np.ndarray]) -> bool:
    """Whether boxes are given in shares of their images: there are some, all within 0 to 1.

    Args:
        images: the boxes of each image, (G, 4) xyxy.
    """
    some = False
    for boxes in images:
        if np.any((boxes < 0) | (boxes > 1 + 1e-6)):
            return False
        some = some or len(boxes) > 0
    return some

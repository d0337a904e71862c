"""The size that images are resized to, chosen from the images and their boxes."""

import math
from typing import NamedTuple

import numpy as np

SMALL_OBJECT = 12.0
"""Side in pixels below which an object is hard to find, whatever the anchors."""
SMALLEST_TENTH = 0.1


class Limits(NamedTuple):
    """Sides that a machine can train at, in pixels."""

    usual: int  # of the shorter side
    largest: int  # of the shorter side, where objects are small
    long: int


class Sides(NamedTuple):
    """data.short_side and data.long_side, in pixels."""

    short: int
    long: int
    reason: str


def choose_sides(sizes: np.ndarray, box_sides: np.ndarray, limits: Limits) -> Sides:
    """The sides for images and boxes of these sizes.

    Images are not enlarged, and are shrunk to what the machine can train at, less so where many
    objects are small. The longer side has room for all but one image in twenty.

    Args:
        sizes: (n, 2) height and width of the images in pixels, n at least 1.
        box_sides: (G,) square roots of the boxes' areas in pixels.
        limits: of the machine.
    """
    shorter, longer = sizes.min(axis=1), sizes.max(axis=1)
    median = int(np.median(shorter))
    short = min(median, limits.usual)
    reason = f"the shorter sides of the images have a median of {median} pixels"
    if short < median:
        reason += f", reduced to {limits.usual} to train in reasonable time"
    small = float(np.quantile(box_sides, SMALLEST_TENTH)) if len(box_sides) else np.inf
    if small * short / median < SMALL_OBJECT and short < min(median, limits.largest):
        needed = math.ceil(SMALL_OBJECT * median / small)
        short = min(needed, median, limits.largest)
        reason = (
            f"a tenth of the boxes are smaller than {small:.0f} pixels in images whose shorter "
            f"sides have a median of {median}"
        )
    aspect = float(np.quantile(longer / shorter, 0.95))
    long = min(max(math.ceil(short * aspect), short), max(limits.long, short))
    return Sides(short, long, reason)

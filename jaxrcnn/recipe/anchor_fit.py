"""How well anchors fit the boxes of a data set, and by how much to scale them if they do not."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.config import AnchorConfig
from jaxrcnn.ops.anchors import Sizes, cell_anchors

REACHED = 0.5
"""IoU with some anchor from which a box counts as reached."""
FACTORS = 2.0 ** (np.arange(-12, 13) / 4)
"""By which anchors may be scaled: from an eighth to eight times, in steps of a quarter octave."""
CELL = 32
"""Images are padded to a multiple of this before they become feature maps."""


class Boxes(NamedTuple):
    """Boxes as the network sees them, after the images are resized."""

    corners: np.ndarray  # (G, 4) float, xyxy in pixels
    image_sizes: np.ndarray  # (G, 2) float, height and width of each box's image


def missed_share(boxes: Boxes, strides: tuple[int, ...], anchors: AnchorConfig) -> float:
    """Share of the boxes that no anchor reaches; 0 where there are no boxes.

    Args:
        boxes: of the data set.
        strides: pixels between neighbouring anchors, of each feature level.
        anchors: as in the config; a level has a tuple of sizes.
    """
    ious = best_ious(boxes, strides, anchors.sizes, anchors)
    return float(np.mean(ious < REACHED)) if len(ious) else 0.0


def fitting_sizes(
    boxes: Boxes, strides: tuple[int, ...], anchors: AnchorConfig
) -> tuple[Sizes, ...]:
    """The anchor sizes, all scaled by the factor with which the fewest boxes are missed.

    Of several such factors the one nearest to 1 is used. The sizes are whole numbers of pixels.
    """

    def scaled(factor: float) -> tuple[Sizes, ...]:
        return tuple(
            tuple(max(round(size * factor), 1.0) for size in level) for level in anchors.sizes
        )

    def cost(factor: float) -> tuple[int, float]:
        ious = best_ious(boxes, strides, scaled(factor), anchors)
        return int(np.sum(ious < REACHED)), abs(float(np.log(factor)))

    best = scaled(min(FACTORS.tolist(), key=cost))
    return tuple(tuple(map(float, level)) for level in best)


def best_ious(
    boxes: Boxes, strides: tuple[int, ...], sizes: tuple[Sizes, ...], anchors: AnchorConfig
) -> np.ndarray:
    """The IoU of every box with the anchor that fits it best, (G,) float.

    An anchor of a given shape fits a box best if its centre is nearest to that of the box, so
    that only one place of each feature level needs to be looked at.
    """
    best = np.zeros(len(boxes.corners))
    centres = (boxes.corners[:, :2] + boxes.corners[:, 2:]) / 2  # (G, 2) x, y
    padded = np.ceil(boxes.image_sizes[:, ::-1] / CELL) * CELL  # (G, 2) width, height
    for stride, level in zip(strides, sizes, strict=True):
        last = np.ceil(padded / stride) - 1
        places = np.clip(np.round(centres / stride - anchors.offset), 0, last)
        nearest = (places + anchors.offset) * stride  # (G, 2)
        for cell in cell_anchors(level, anchors.ratios, anchors.rounded):
            shifted = np.concatenate([nearest + cell[:2], nearest + cell[2:]], axis=1)
            best = np.maximum(best, _ious(boxes.corners, shifted))
    return best


def _ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU of boxes (G, 4) with others (G, 4), pair by pair; those with an area."""
    shared = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    intersection = np.prod(np.maximum(shared, 0), axis=1)
    areas = np.prod(one[:, 2:] - one[:, :2], axis=1) + np.prod(other[:, 2:] - other[:, :2], axis=1)
    return intersection / np.maximum(areas - intersection, 1e-9)

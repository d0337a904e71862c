"""The few shapes that images are padded to, so that few programs are compiled.

A data set has one bucket for its landscape images (squares among them) and one for its portrait
images, each just large enough for its largest image after resizing.
"""

from typing import NamedTuple

import numpy as np

from jaxrcnn.data.transforms import Resize, Size, resized_size

MULTIPLE = 32
"""Sides of a bucket are multiples of the coarsest stride that pooling halves without remainder."""


class Buckets(NamedTuple):
    """Shapes, and which of them each image of a data set has."""

    shapes: tuple[Size, ...]
    of_record: np.ndarray  # (n,) int32


def choose_buckets(
    sizes: np.ndarray, short_side: int, long_side: int, method: Resize = "pillow"
) -> Buckets:
    """Shapes for images of these sizes, resized to `short_side` and at most `long_side`.

    Args:
        sizes: (n, 2) int, height and width of every image in pixels.
        short_side: largest shorter side that is drawn.
        long_side: largest longer side.
        method: of resizing.
    """
    portrait = sizes[:, 0] > sizes[:, 1]
    resized = np.array(
        [resized_size((int(h), int(w)), short_side, long_side, None, method) for h, w in sizes],
        np.int64,
    ).reshape(-1, 2)  # (n, 2), also where n is 0
    groups = [group for group in (~portrait, portrait) if group.any()]
    shapes = []
    of_record = np.zeros(len(sizes), np.int32)
    for index, group in enumerate(groups):
        height, width = -(-resized[group].max(axis=0) // MULTIPLE) * MULTIPLE
        shapes.append((int(height), int(width)))
        of_record[group] = index
    return Buckets(tuple(shapes), of_record)

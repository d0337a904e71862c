"""The few shapes that images are padded to, so that few programs are compiled.

In training, a data set has one bucket for its landscape images (squares among them) and one for
its portrait images, each just large enough for its largest image after resizing. In inference an
image's shape depends on its own size and the config alone, so that what is found in it does not
depend on the images beside it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.transforms import Resize, Size, resized_size

MULTIPLE = 32
"""Sides of a bucket are multiples of the coarsest stride that pooling halves without remainder."""

MIDDLE = 4 / 3
"""Ratio of the sides between a square and the longest shape: that of most cameras."""


class Buckets(NamedTuple):
    """Shapes, and which of them each image of a data set has."""

    shapes: tuple[Size, ...]
    of_record: np.ndarray  # (n,) int32


def choose_buckets(
    sizes: np.ndarray, short_side: int, long_side: int, method: Resize = "pillow"
) -> Buckets:
    """One landscape and one portrait shape for images of these sizes, as few as training needs.

    Args:
        sizes: (n, 2) int, height and width of every image in pixels.
        short_side: largest shorter side that is drawn.
        long_side: largest longer side.
        method: of resizing.
    """
    portrait = sizes[:, 0] > sizes[:, 1]
    resized = _resized(sizes, short_side, long_side, method)
    groups = [group for group in (~portrait, portrait) if group.any()]
    shapes = []
    of_record = np.zeros(len(sizes), np.int32)
    for index, group in enumerate(groups):
        height, width = resized[group].max(axis=0).tolist()
        shapes.append((_rounded_up(height, MULTIPLE), _rounded_up(width, MULTIPLE)))
        of_record[group] = index
    return Buckets(tuple(shapes), of_record)


def ladder(short_side: int, long_side: int) -> tuple[Size, ...]:
    """The shapes that inference pads images to, by area: a square, 4:3 and the longest, both ways.

    Every image fits one of them after resizing.
    """
    short = _rounded_up(short_side, MULTIPLE)
    longest = max(short, _rounded_up(long_side, MULTIPLE))
    middle = min(longest, _rounded_up(int(short_side * MIDDLE), MULTIPLE))
    shapes = [(short, short), (short, middle), (middle, short), (short, longest), (longest, short)]
    return tuple(dict.fromkeys(shapes))


def ladder_buckets(
    sizes: np.ndarray, short_side: int, long_side: int, method: Resize = "pillow"
) -> Buckets:
    """The first shape of the ladder that each image fits; arguments as for `choose_buckets`."""
    shapes = ladder(short_side, long_side)
    resized = _resized(sizes, short_side, long_side, method)
    fits = (resized[:, None] <= np.array(shapes)).all(axis=2)  # (n, shapes)
    return _used(shapes, fits.argmax(axis=1))


def exact_buckets(
    sizes: np.ndarray, short_side: int, long_side: int, method: Resize, multiple: int
) -> Buckets:
    """Each image's own size after resizing, rounded up to `multiple`, the rest as above."""
    resized = _resized(sizes, short_side, long_side, method)
    shapes, places = np.unique(-(-resized // multiple) * multiple, axis=0, return_inverse=True)
    return _used([(height, width) for height, width in shapes.tolist()], places.reshape(-1))


def _used(shapes: Sequence[Size], places: np.ndarray) -> Buckets:
    """Only the shapes that some image has."""
    used, of_record = np.unique(places, return_inverse=True)
    return Buckets(tuple(shapes[place] for place in used), of_record.reshape(-1).astype(np.int32))


def _resized(sizes: np.ndarray, short_side: int, long_side: int, method: Resize) -> np.ndarray:
    """Sizes after resizing, (n, 2) int64, also where n is 0."""
    resized = [resized_size((int(h), int(w)), short_side, long_side, method) for h, w in sizes]
    return np.array(resized, np.int64).reshape(-1, 2)


def _rounded_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple

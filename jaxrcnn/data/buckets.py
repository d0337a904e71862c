"""The few shapes that images are padded to, so that few programs are compiled.

In training, a data set has one bucket for its landscape images (squares among them) and one for
its portrait images, or more where that saves padding, each just large enough for its largest image
after resizing. In inference an image's shape depends on its own size and the config alone, so that
what is found in it does not depend on the images beside it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.aspect_ranges import BATCHES, divide_by_aspect
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
    sizes: np.ndarray,
    short_side: int,
    long_side: int,
    method: Resize = "pillow",
    most: int = 2,
    batch_size: int = 1,
) -> Buckets:
    """The shapes for the training images of these sizes.

    Args:
        sizes: (n, 2) int, height and width of every image in pixels.
        short_side: largest shorter side that is drawn.
        long_side: largest longer side.
        method: of resizing.
        most: number of shapes. 2 are one for landscape and one for portrait images. With more,
            there are as many as save enough padding, see `divide_by_aspect`.
        batch_size: images of a step, of which each of more than two shapes has enough.
    """
    resized = resized_sizes(sizes, short_side, long_side, method)
    by_orientation = (sizes[:, 0] > sizes[:, 1]).astype(np.int64)
    if most == 2 or not len(sizes):
        return _as_small_as_possible(resized, by_orientation)
    rounded = -(-resized // MULTIPLE) * MULTIPLE
    found = _as_small_as_possible(resized, divide_by_aspect(rounded, most, BATCHES * batch_size))
    if most < 2:
        return found
    two = _as_small_as_possible(resized, by_orientation)  # with few images, not a range of both
    return min(two, found, key=padded_area)


def padded_area(buckets: Buckets) -> int:
    """Pixels of all images of a data set, each padded to its bucket."""
    areas = np.array(buckets.shapes, np.int64).prod(axis=1)
    return int(areas[buckets.of_record].sum())


def _as_small_as_possible(resized: np.ndarray, groups: np.ndarray) -> Buckets:
    """A shape for each group of images, (n,) int; groups without images have none."""
    shapes = []
    of_record = np.zeros(len(resized), np.int32)
    for index, group in enumerate(np.unique(groups)):
        of_record[groups == group] = index
        height, width = resized[groups == group].max(axis=0).tolist()
        shapes.append((_rounded_up(height, MULTIPLE), _rounded_up(width, MULTIPLE)))
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
    resized = resized_sizes(sizes, short_side, long_side, method)
    fits = (resized[:, None] <= np.array(shapes)).all(axis=2)  # (n, shapes)
    return _used(shapes, fits.argmax(axis=1))


def exact_buckets(
    sizes: np.ndarray, short_side: int, long_side: int, method: Resize, multiple: int
) -> Buckets:
    """Each image's own size after resizing, rounded up to `multiple`, the rest as above."""
    resized = resized_sizes(sizes, short_side, long_side, method)
    shapes, places = np.unique(-(-resized // multiple) * multiple, axis=0, return_inverse=True)
    return _used([(height, width) for height, width in shapes.tolist()], places.reshape(-1))


def _used(shapes: Sequence[Size], places: np.ndarray) -> Buckets:
    """Only the shapes that some image has."""
    used, of_record = np.unique(places, return_inverse=True)
    return Buckets(tuple(shapes[place] for place in used), of_record.reshape(-1).astype(np.int32))


def resized_sizes(sizes: np.ndarray, short_side: int, long_side: int, method: Resize) -> np.ndarray:
    """Sizes after resizing, (n, 2) int64, also where n is 0; arguments as for `choose_buckets`."""
    kinds, places = np.unique(sizes.reshape(-1, 2), axis=0, return_inverse=True)
    resized = [resized_size((h, w), short_side, long_side, method) for h, w in kinds.tolist()]
    return np.array(resized, np.int64).reshape(-1, 2)[places.reshape(-1)]


def _rounded_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple

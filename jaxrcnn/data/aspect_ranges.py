"""More than two bucket shapes for training, where they save padding."""

import numpy as np

PAYS = 0.02
"""Share of all padded pixels that another shape has to save: it costs a compilation."""

BATCHES = 4
"""Batches of an epoch that a bucket has images for, at least: the images of a smaller one would
wait for several epochs until they fill a batch, and some be in it more than once."""


def divide_by_aspect(sizes: np.ndarray, most: int, least: int) -> np.ndarray:
    """Which bucket each image belongs to so that the buckets' areas add up to the least.

    After resizing, sizes lie along a line from the tallest image to the widest: either the short
    side or the long one is at its limit. So each bucket is a range of aspect ratios, and where the
    ranges end is found by dynamic programming. Fewer buckets than `most` are made where another one
    would save less than `PAYS`.

    Args:
        sizes: (n, 2) int, height and width of the buckets that each image needs by itself.
        most: number of buckets.
        least: number of images of a bucket.

    Returns:
        (n,) int, from 0 for the tallest; all 0 where there are too few images for two buckets.
    """
    shapes, kinds, counts = np.unique(sizes, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(shapes[:, 1] / shapes[:, 0], kind="stable")
    areas = _areas(shapes[order], counts[order], least)
    total, starts = _cheapest(areas, most)
    number = 1
    for more in range(2, most + 1):
        saved = 1 - total[more] / total[number] if np.isfinite(total[more]) else 0
        if saved >= PAYS * (more - number):
            number = more
    bucket_of_kind = np.zeros(len(shapes), np.int64)
    end = len(shapes)
    for bucket in range(number, 0, -1):
        begin = starts[bucket, end]
        bucket_of_kind[order[begin:end]] = bucket - 1
        end = begin
    return bucket_of_kind[kinds.reshape(-1)]


def _areas(shapes: np.ndarray, counts: np.ndarray, least: int) -> np.ndarray:
    """Padded pixels of a bucket by its first kind and the one behind its last, (m + 1, m + 1).

    Infinite where it has too few images, except for that of all kinds.
    """
    m = len(shapes)
    areas = np.full((m + 1, m + 1), np.inf)
    for first in range(m):
        largest = np.maximum.accumulate(shapes[first:], axis=0).astype(np.float64)
        images = counts[first:].cumsum()
        areas[first, first + 1 :] = np.where(images >= least, largest.prod(axis=1) * images, np.inf)
    areas[0, m] = shapes.max(axis=0).astype(np.float64).prod() * counts.sum()
    return areas


def _cheapest(areas: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The least area for each number of buckets (most + 1,), and where the last of them begins.

    The latter is (most + 1, m + 1): by the number of buckets, and how many kinds they hold.
    """
    m = len(areas) - 1
    best = np.full((most + 1, m + 1), np.inf)
    best[0, 0] = 0
    starts = np.zeros((most + 1, m + 1), np.int64)
    for number in range(1, most + 1):
        with_last = best[number - 1][:, None] + areas  # (m + 1 begins, m + 1 ends)
        starts[number] = with_last.argmin(axis=0)
        best[number] = with_last.min(axis=0)
    return best[:, m], starts

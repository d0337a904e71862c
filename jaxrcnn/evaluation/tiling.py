"""Large images in overlapping tiles: where these lie, and what becomes of objects at their seams.

Boxes are xyxy in pixels of the whole image.
"""

import itertools
from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.boxes import area, intersection

TOUCHES = 0.01
"""A box touches a seam that is nearer than this share of the tile's side."""

COVERED = 0.7
"""Share of a cut box that has to lie in the whole one, as noise of both is allowed for."""

AT_A_TIME = 2**20
"""Pairs of boxes that are compared at once: in many tiles there are tens of thousands of boxes."""


class Window(NamedTuple):
    """A part of an image in whole pixels; the ends are not in it."""

    y0: int
    x0: int
    y1: int
    x1: int


def tile_windows(size: tuple[int, int], tile: int, overlap: float) -> list[Window]:
    """Tiles that cover an image, row by row; all of one size.

    Tiles begin every ``tile * (1 - overlap)`` pixels, rounded. The last one of a row or column is
    shifted inward, so that it ends with the image. Along a side that is not longer than a tile
    there is one.

    Args:
        size: height and width of the image.
        tile: side of a tile, pixels.
        overlap: share of it that two neighbours have in common, at least 0 and below 1.
    """
    (rows, height), (columns, width) = (_starts(side, tile, overlap) for side in size)
    return [Window(y, x, y + height, x + width) for y, x in itertools.product(rows, columns)]


def _starts(side: int, tile: int, overlap: float) -> tuple[list[int], int]:
    """Where tiles begin along a side, and how long they are."""
    if side <= tile:
        return [0], side
    stride = max(1, round(tile * (1 - overlap)))
    return [*range(0, side - tile, stride), side - tile], tile


def cut_at_seams(boxes: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """Whether boxes found in a tile touch a side of it that is not the image's border.

    Args:
        boxes: (D, 4).
        window: of the tile.
        size: height and width of the image.

    Returns:
        (D,) bool.
    """
    height, width = size
    room = np.array([window.x1 - window.x0, window.y1 - window.y0] * 2) * TOUCHES
    low, high = np.array([window.x0, window.y0]), np.array([window.x1, window.y1])
    near = np.concatenate([boxes[:, :2] - low, high - boxes[:, 2:]], axis=1) <= room
    inner = [window.x0 > 0, window.y0 > 0, window.x1 < width, window.y1 < height]
    return np.any(near & inner, axis=1)


def seen_whole(
    boxes: np.ndarray, labels: np.ndarray, tiles: np.ndarray, cut: np.ndarray
) -> np.ndarray:
    """Whether a cut box is a part of an object that another tile sees whole.

    It is if at least `COVERED` of its area lies in a box of the same class that is not cut and was
    found in another tile.

    Args:
        boxes: (D, 4) of all tiles.
        labels: (D,).
        tiles: (D,) int, the tile that each was found in.
        cut: (D,) bool, as from `cut_at_seams`.

    Returns:
        (D,) bool; False for boxes that are not cut.
    """
    whole, covered = np.flatnonzero(~cut), np.zeros(len(boxes), bool)
    places = np.flatnonzero(cut)
    for some in np.split(places, np.arange(0, len(places), 1 + AT_A_TIME // (1 + len(whole)))[1:]):
        other = (labels[some, None] == labels[whole]) & (tiles[some, None] != tiles[whole])
        covered[some] = (other & _lie_in(boxes[some], boxes[whole])).any(axis=1)
    return covered


def _lie_in(parts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether at least `COVERED` of each box (P, 4) lies in each of the others (D, 4), (P, D)."""
    parts, others = parts[:, None].astype(np.float64), others.astype(np.float64)
    return intersection(parts, others) >= COVERED * area(parts)

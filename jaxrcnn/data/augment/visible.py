"""What is left of boxes that are cut or covered decides whether they are still trained on.

A box of which at least data.min_visible remains stays. One of which less remains becomes a region
to ignore, since a part of an object that can be seen is no background. One of which nothing remains
is dropped.
"""

import dataclasses

import numpy as np

from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Window, clip, have_area, have_centres, keep_boxes

ROUNDING = 1e-5
"""Share of a box's area that may be missing, or left, by rounding alone."""


def cut(sample: Sample, window: Window, min_visible: float, centres: bool = False) -> Sample:
    """Cut a window out of a sample.

    Args:
        sample: to be cut.
        window: inside its image.
        min_visible: smallest share of a box's area that is left of it if it stays.
        centres: whether the centre of a box that stays has to be inside, too.
    """
    y0, x0, y1, x1 = window
    part = clip(sample, window)
    share = _area(np.clip(sample.boxes, (x0, y0, x0, y0), (x1, y1, x1, y1)))
    share = share / np.maximum(_area(sample.boxes), np.finfo(np.float32).tiny)
    stays = share >= min_visible - ROUNDING
    if centres:
        stays &= have_centres(sample.boxes, window)
    return _settled(part, stays, have_area(part.boxes))


def cover(sample: Sample, rectangles: np.ndarray, min_visible: float) -> Sample:
    """Shrink the boxes of a sample to what rectangles (r, 4) xyxy that cover it leave visible.

    The image is left as it is.
    """
    if not len(rectangles) or not len(sample.boxes):
        return sample
    boxes, share = visible_parts(sample.boxes, rectangles)
    covered = dataclasses.replace(sample, boxes=boxes)
    stays, is_left = share >= min_visible - ROUNDING, (share > ROUNDING) & have_area(boxes)
    return _settled(covered, stays, is_left)


def visible_parts(boxes: np.ndarray, rectangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What rectangles leave visible of boxes, which have an area.

    Args:
        boxes: (g, 4) xyxy.
        rectangles: (r, 4) xyxy, which may overlap.

    Returns:
        The bounding boxes of the visible parts (g, 4) float32, inverted where there is none, and
        the shares of the areas that are visible (g,).
    """
    # The sides of the rectangles cut the plane into cells, each of which is covered or not.
    columns, across = _cells(rectangles[:, 0::2])  # (p, 2), (r, p)
    rows, down = _cells(rectangles[:, 1::2])  # (q, 2), (r, q)
    open_cells = ~(down[:, :, None] & across[:, None]).any(axis=0)  # (q, p)
    left, right = _overlaps(boxes[:, 0::2], columns)  # (g, p) each
    top, bottom = _overlaps(boxes[:, 1::2], rows)  # (g, q) each
    widths, heights = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    areas = heights[:, :, None] * widths[:, None] * open_cells  # (g, q, p)
    seen = areas > 0
    in_column, in_row = seen.any(axis=1), seen.any(axis=2)
    parts = [
        np.where(in_column, left, np.inf).min(axis=1),
        np.where(in_row, top, np.inf).min(axis=1),
        np.where(in_column, right, -np.inf).max(axis=1),
        np.where(in_row, bottom, -np.inf).max(axis=1),
    ]
    return np.stack(parts, axis=1).astype(np.float32), areas.sum(axis=(1, 2)) / _area(boxes)


def _cells(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The intervals (p, 2) between sides (r, 2) along an axis, and which is within which (r, p)."""
    edges = np.concatenate([[-np.inf], np.unique(sides.astype(np.float64)), [np.inf]])
    cells = np.stack([edges[:-1], edges[1:]], axis=1)
    return cells, (sides[:, :1] <= cells[:, 0]) & (cells[:, 1] <= sides[:, 1:])


def _overlaps(sides: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the overlaps of boxes' sides (g, 2) and of intervals (p, 2) begin and end, (g, p)."""
    return np.maximum(sides[:, :1], cells[:, 0]), np.minimum(sides[:, 1:], cells[:, 1])


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1, dtype=np.float64)


def _settled(sample: Sample, stays: np.ndarray, is_left: np.ndarray) -> Sample:
    ignored = dataclasses.replace(sample, ignore=sample.ignore | ~stays)
    return keep_boxes(ignored, is_left)

"""What there is to know of the images and boxes of a data set, by plain numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrcnn.data.records import Dataset

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1}
SMALL, LARGE = 32, 96
"""COCO's borders of small, medium and large boxes: square roots of areas in pixels."""

Quantiles = Mapping[str, float]


def quantiles(values: np.ndarray) -> Quantiles | None:
    """Quantiles of some numbers, interpolated linearly; None of none."""
    if not len(values):
        return None
    found = np.quantile(values, list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def box_sides(boxes: np.ndarray) -> np.ndarray:
    """Square roots of the areas of boxes (G, 4), (G,)."""
    return np.sqrt(np.prod(boxes[:, 2:].astype(np.float64) - boxes[:, :2], axis=1))


def aspect_ratios(boxes: np.ndarray) -> np.ndarray:
    """Heights over widths of boxes (G, 4), (G,)."""
    width, height = (boxes[:, 2:].astype(np.float64) - boxes[:, :2]).T
    return height / width


def describe_split(dataset: Dataset) -> dict[str, Any]:
    """Numbers about a split, as they are in check.json.

    Sizes are square roots of areas, in pixels of the original images; aspect ratios are heights
    over widths.
    """
    records = dataset.columns
    sides, ratios = box_sides(records.boxes), aspect_ratios(records.boxes)
    empty = int((records.counts == 0).sum())
    return {
        "images": len(records),
        "boxes": len(records.boxes),
        "boxes_to_ignore": int(records.ignore.sum()),
        "empty_images": empty,
        "empty_share": empty / max(len(records), 1),
        "image_heights": quantiles(records.sizes[:, 0]),
        "image_widths": quantiles(records.sizes[:, 1]),
        "boxes_per_image": quantiles(records.counts),
        "box_sizes": quantiles(sides),
        "aspect_ratios": quantiles(ratios),
        "small": int((sides < SMALL).sum()),
        "medium": int(((sides >= SMALL) & (sides < LARGE)).sum()),
        "large": int((sides >= LARGE).sum()),
        "classes": _describe_classes(dataset, sides, ratios),
    }


def _describe_classes(
    dataset: Dataset, sides: np.ndarray, ratios: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Numbers about each class that has boxes, by its name, in the order of the labels.

    Args:
        dataset: the split.
        sides, ratios: (G,) of all its boxes.
    """
    records = dataset.columns
    found: dict[str, dict[str, Any]] = {}
    order = np.argsort(records.labels, kind="stable")
    ends = np.cumsum(np.bincount(records.labels, minlength=len(dataset.class_names) + 1))
    for label, name in enumerate(dataset.class_names, 1):
        rows = order[ends[label - 1] : ends[label]]
        if len(rows):
            found[name] = {
                "boxes": len(rows),
                "images": len(np.unique(records.owners[rows])),
                "box_sizes": quantiles(sides[rows]),
                "aspect_ratios": quantiles(ratios[rows]),
            }
    return found

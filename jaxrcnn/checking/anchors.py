"""How well a config's anchors fit the objects after resizing, and anchors that fit them better."""

import dataclasses
from typing import Any

import numpy as np

from jaxrcnn.checking.statistics import aspect_ratios, box_sides
from jaxrcnn.config import AnchorConfig, Config
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.transforms import have_area
from jaxrcnn.nets.backbone import build_backbone
from jaxrcnn.recipe.anchor_fit import Boxes, best_ious
from jaxrcnn.recipe.derive import resized_boxes

REACHED = (0.5, 0.7)
"""IoU with an anchor from which an object is reached: it can be assigned at 0.5, and is at 0.7."""
MOST = 20_000
"""Objects that are looked at; of more, a random part."""
ROUNDS = 100
"""Of k-means at most."""


def check_anchors(dataset: Dataset, config: Config) -> dict[str, Any] | None:
    """What anchors miss of the objects, and others that miss fewer, if any are found.

    It is None where there are no objects.

    Args:
        dataset: the training set.
        config: with the model's anchors and the sides that images are resized to.
    """
    model = config.model
    boxes = _some(resized_boxes(dataset, config), config.seed)
    if not len(boxes.corners):
        return None
    strides = build_backbone(model.backbone, model.neck, "float32").strides
    missed = _missed(boxes, strides, model.anchors)
    found = {"sizes": model.anchors.sizes, "ratios": model.anchors.ratios, "missed": missed}
    both = suggest_anchors(boxes.corners, model.anchors, config.seed)
    others = [both, dataclasses.replace(both, ratios=model.anchors.ratios)]
    misses = [_missed(boxes, strides, other) for other in others]
    best = min(range(len(others)), key=lambda place: misses[place]["0.5"])
    # Means of shapes alone may be worse: a small anchor on a coarse map is far from most objects.
    better = misses[best]["0.5"] < missed["0.5"]
    return {
        **found,
        "suggested_sizes": others[best].sizes if better else None,
        "suggested_ratios": others[best].ratios if better else None,
        "suggested_missed": misses[best] if better else None,
    }


def _missed(boxes: Boxes, strides: tuple[int, ...], anchors: AnchorConfig) -> dict[str, float]:
    """Share of the objects that no anchor overlaps with each IoU of `REACHED`."""
    ious = best_ious(boxes, strides, anchors.sizes, anchors)
    return {f"{iou:g}": float(np.mean(ious < iou)) for iou in REACHED}


def _some(boxes: Boxes, seed: int) -> Boxes:
    number = len(boxes.corners)
    places = np.arange(number)
    if number > MOST:
        places = np.sort(np.random.default_rng(seed).choice(number, MOST, replace=False))
    places = places[have_area(boxes.corners[places])]
    return Boxes(boxes.corners[places], boxes.image_sizes[places])


def suggest_anchors(corners: np.ndarray, anchors: AnchorConfig, seed: int) -> AnchorConfig:
    """As many sizes and ratios as there are, by k-means on 1 - IoU.

    Anchors are a product of sizes and ratios. So the sizes are means of squares with the objects'
    areas, and the ratios means of rectangles of one area with the objects' ratios.

    Args:
        corners: of the objects, (G, 4) xyxy with an area.
        anchors: of the config; levels that share their sizes share the new ones.
        seed: of the first means.
    """
    side, ratio = box_sides(corners), aspect_ratios(corners)
    old = sorted({size for level in anchors.sizes for size in level})
    squares = kmeans(np.stack([side, side], axis=1), len(old), seed)
    new = np.sort(np.sqrt(np.prod(squares, axis=1))).round()
    by_old = dict(zip(old, new.tolist(), strict=False))
    shapes = kmeans(
        np.stack([1 / np.sqrt(ratio), np.sqrt(ratio)], axis=1), len(anchors.ratios), seed
    )
    return dataclasses.replace(
        anchors,
        sizes=tuple(tuple(max(by_old.get(x, x), 1.0) for x in level) for level in anchors.sizes),
        ratios=tuple(np.sort(shapes[:, 1] / shapes[:, 0]).round(2).tolist()),
    )


def kmeans(sides: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Means of rectangles that share a corner, with 1 - IoU as the distance.

    Args:
        sides: (G, 2) widths and heights.
        number: of means; fewer are found if there are fewer different rectangles.
        seed: of the first means, which are drawn by k-means++.

    Returns:
        (number, 2) widths and heights.

    Source: YOLO9000 (1612.08242), section 2, with the median of a cluster as its mean.
    """
    rng = np.random.default_rng(seed)
    means = sides[rng.integers(len(sides))][None]
    while len(means) < number:
        weights = (1 - ious(sides, means).max(axis=1)) ** 2
        if weights.sum() < 1e-9:
            break
        means = np.concatenate(
            [means, sides[rng.choice(len(sides), p=weights / weights.sum())][None]]
        )
    owners = np.full(len(sides), -1)
    for _ in range(ROUNDS):
        nearest = ious(sides, means).argmax(axis=1)
        if (nearest == owners).all():
            break
        owners = nearest
        for place in np.unique(owners):
            means[place] = np.median(sides[owners == place], axis=0)
    return means


def ious(sides: np.ndarray, means: np.ndarray) -> np.ndarray:
    """IoU of rectangles (G, 2) with others (K, 2) that share a corner, (G, K)."""
    shared = np.prod(np.minimum(sides[:, None], means), axis=2)
    return shared / (np.prod(sides, axis=1)[:, None] + np.prod(means, axis=1) - shared)

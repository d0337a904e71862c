"""Average precision on resampled images, for bootstrap intervals.

Matching is done once; each draw then only counts each image as often as it was drawn.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxrcnn.evaluation.coco import coco_inputs
from jaxrcnn.evaluation.coco_backends import match_images

if TYPE_CHECKING:
    from jaxrcnn.data.records import Dataset

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO evaluates precision."""

AT_A_TIME = 2**22
"""Pairs of a draw and a detection whose counts are in memory at once."""


class ClassMatches(NamedTuple):
    """The D detections of one class in I images, best first, matched at COCO's T = 10 IoUs.

    Detections with the same score are in the order that pycocotools gives them.
    """

    image: np.ndarray  # (D,) int64, place in the data set
    hit: np.ndarray  # (T, D) bool: finds an object
    ignored: np.ndarray  # (T, D) bool: is neither right nor wrong
    objects: np.ndarray  # (I,) int64, objects of each image, without ignore regions


def find_matches(
    dataset: "Dataset", results: list[dict[str, Any]], max_detections: int = 100
) -> list[ClassMatches]:
    """Match detections with the ground truth as pycocotools does, a class at a time.

    Args:
        dataset: the ground truth.
        results: COCO's results format, as for `jaxrcnn.evaluation.coco.coco_scores`.
        max_detections: best detections of an image and a class that count.

    Raises:
        ValueError: as `jaxrcnn.evaluation.coco.coco_scores`.
    """
    places = {int(key): place for place, key in enumerate(dataset.columns.image_ids)}
    of_classes = match_images(*coco_inputs(dataset, results), max_detections)
    return [_of_class(images, places) for images in of_classes]


def _of_class(images: list[dict[str, Any]], places: dict[int, int]) -> ClassMatches:
    """What pycocotools says of each image in which a class is found or is to be found."""
    scores = np.concatenate([np.zeros(0), *(one["dtScores"] for one in images)])
    order = np.argsort(-scores, kind="stable")
    owners = [places[one["image_id"]] for one in images]
    matched, ignored = (
        np.concatenate([np.zeros((10, 0)), *(one[name] for one in images)], axis=1) != 0
        for name in ("dtMatches", "dtIgnore")
    )
    objects = np.zeros(len(places), np.int64)
    objects[owners] = [np.count_nonzero(one["gtIgnore"] == 0) for one in images]
    return ClassMatches(
        np.repeat(np.array(owners, np.int64), [len(one["dtScores"]) for one in images])[order],
        (matched & ~ignored)[:, order],
        ignored[:, order],
        objects,
    )


def resampled_precision(matches: list[ClassMatches], counts: np.ndarray) -> np.ndarray:
    """COCO's average precision (IoU .50 to .95, all sizes) on resampled images.

    Args:
        matches: of every class.
        counts: (B, I) int, how often each draw contains each image.

    Returns:
        (B,) float64; NaN for draws without objects. Counting every image once gives the ``AP`` of
        `jaxrcnn.evaluation.coco.coco_scores`.
    """
    if not matches:
        return np.full(len(counts), np.nan)
    rows = max(1, AT_A_TIME // max(1, *(len(one.image) for one in matches)))
    parts = [counts[first : first + rows] for first in range(0, len(counts), rows)]
    precisions = np.concatenate(
        [np.stack([_class_precision(one, part) for one in matches], axis=1) for part in parts]
    )
    exist = ~np.isnan(precisions)  # as COCO, the mean over the classes that have objects
    total = np.where(exist, precisions, 0).sum(axis=1)
    number = exist.sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _class_precision(one: ClassMatches, counts: np.ndarray) -> np.ndarray:
    """(B,) AP of a class, mean over the IoUs; NaN for draws without its objects.

    Precision is needed only where an object is found: after it, false detections lower it until
    the next one, and copies of a detection that are drawn together leave its maximum as it is.
    """
    objects = counts @ one.objects
    weights = counts[:, one.image]  # (B, D)
    total, seen, before = np.zeros(len(counts)), weights, None
    for hit, ignored in zip(one.hit, one.ignored, strict=True):
        if before is None or not np.array_equal(ignored, before):
            seen, before = np.cumsum(weights * ~ignored, axis=1), ignored
        places = np.flatnonzero(hit)
        found = np.cumsum(weights[:, places], axis=1)
        precision = found / (seen[:, places] + np.spacing(1))
        highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(RECALLS, found / np.maximum(objects, 1)[:, None], side="right")
        total += (np.diff(reached, axis=1, prepend=0) * highest).sum(axis=1)
    return np.where(objects > 0, total / (len(one.hit) * len(RECALLS)), np.nan)

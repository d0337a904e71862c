"""Precision, recall and F1 of each class over the score, and the best thresholds."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.matching import Matching

POINTS = 101
"""Scores at which the curves are given."""


class Best(NamedTuple):
    """The score at which a class has its largest F1, and what it has there."""

    score: float  # the lowest that is kept
    precision: float
    recall: float
    f1: float


class Curves(NamedTuple):
    """For each of K classes and S lowest scores; NaN where a number does not exist."""

    scores: np.ndarray  # (S,), from 0 to 1, or as far as the detections' scores reach
    precision: np.ndarray  # (K, S); without detections there is none
    recall: np.ndarray  # (K, S); without objects there is none
    f1: np.ndarray  # (K, S); without objects there is none
    best: list[Best | None]  # of each class; None where no detection is right


def draw_curves(matching: Matching) -> Curves:
    """What remains of each class if detections below a score are left out.

    With the hits at IoU 0.5 of `match_detections`: precision is the share of hits among the
    detections, recall the share of objects that are found, and F1 their harmonic mean. Detections
    that are ignored count nowhere. Of scores with the same F1 the highest is the best.
    """
    counted = ~matching.is_ignored
    labels, score = matching.found.label[counted], matching.found.score[counted]
    hit = matching.is_hit[counted]
    scores = np.linspace(min(score.min(initial=0), 0), max(score.max(initial=1), 1), POINTS)
    objects = np.bincount(matching.truth.label, minlength=matching.num_classes + 1)
    order = np.lexsort((-score, labels))
    ends = np.searchsorted(labels[order], np.arange(matching.num_classes + 1), side="right")
    rows, best = [], []
    for label in range(1, matching.num_classes + 1):
        own = order[ends[label - 1] : ends[label]]  # best first
        hits = np.cumsum(np.append(0, hit[own]))
        kept = np.searchsorted(-score[own], -scores, side="right")  # (S,) detections
        rows.append(_measures(hits[kept], kept, int(objects[label])))
        best.append(_best(score[own], hits[1:], int(objects[label])))
    table = np.array(rows).reshape(-1, 3, POINTS)  # (K, 3, S), also where K is 0
    return Curves(scores, table[:, 0], table[:, 1], table[:, 2], best)


def _measures(hits: np.ndarray, kept: np.ndarray, objects: int) -> list[np.ndarray]:
    """Precision, recall and F1 of so many hits among so many detections."""
    nothing = np.full(len(hits), np.nan)
    return [
        np.where(kept, hits / np.maximum(kept, 1), np.nan),
        hits / objects if objects else nothing,
        2 * hits / (kept + objects) if objects else nothing,
    ]


def _best(score: np.ndarray, hits: np.ndarray, objects: int) -> Best | None:
    """Of the detections of a class, best first: where F1 is largest."""
    last = np.append(score[1:] < score[:-1], True)[: len(score)]  # of each score
    numbers = np.flatnonzero(last) + 1  # detections that are kept
    if not objects or not len(hits) or not hits[-1]:
        return None
    f1 = 2 * hits[numbers - 1] / (numbers + objects)
    place = int(f1.argmax())
    kept = int(numbers[place])
    found = int(hits[kept - 1])
    return Best(float(score[kept - 1]), found / kept, found / objects, float(f1[place]))

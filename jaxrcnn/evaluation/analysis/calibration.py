"""Whether a score means what it says."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.matching import Matching

BINS = 20


class Calibration(NamedTuple):
    """Scores against the share of hits, in bins of equal width from 0 to 1.

    NaN where a bin has no detections.
    """

    counts: np.ndarray  # (BINS,) int64, detections
    scores: np.ndarray  # (BINS,) their mean score
    precision: np.ndarray  # (BINS,) share of hits among them
    error: float | None  # D-ECE; None without detections, or with scores outside 0..1
    errors: list[float | None]  # D-ECE of each class alone


def calibrate(matching: Matching) -> Calibration:
    """Detection expected calibration error (D-ECE) of the scores (Küppers et al., CVPRW 2020).

    The mean over the detections of ``|precision - mean score|`` of their bin: `BINS` bins of equal
    width, closed below, the last one at both ends. A detection is right if it finds an object of
    its class at IoU 0.5, each object once; all detections count but those that are ignored.
    """
    counted = ~matching.is_ignored
    labels, score = matching.found.label[counted], matching.found.score[counted]
    hit = matching.is_hit[counted]
    whole = _bins(score, hit)
    errors = [
        _error(*_bins(score[labels == label], hit[labels == label]))
        for label in range(1, matching.num_classes + 1)
    ]
    sound = bool(((score >= 0) & (score <= 1)).all())
    return Calibration(
        *whole, _error(*whole) if sound else None, errors if sound else [None] * len(errors)
    )


def _bins(score: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections, mean score and precision of each bin, (BINS,) each."""
    # By comparison with the edges: a product such as 0.15 * 20 may fall below the whole number.
    edges = np.arange(1, BINS) / BINS
    places = np.searchsorted(edges, score, side="right")
    counts = np.bincount(places, minlength=BINS)
    sums = (np.bincount(places, values, BINS) for values in (score, hit))
    scores, precision = (np.where(counts, x / np.maximum(counts, 1), np.nan) for x in sums)
    return counts, scores, precision


def _error(counts: np.ndarray, scores: np.ndarray, precision: np.ndarray) -> float | None:
    total = counts.sum()
    return float(np.nansum(counts * np.abs(precision - scores)) / total) if total else None

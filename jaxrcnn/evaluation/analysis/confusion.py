"""Which classes are taken for which."""

import numpy as np

from jaxrcnn.evaluation.matching import POSITIVE, Matching, are_taken, assign, keep_above


def confusion_matrix(matching: Matching, thresholds: np.ndarray | float) -> np.ndarray:
    """Count the objects of each class by what they are taken for.

    Detections of at least the score threshold, best score first, each take the free object of any
    class that they overlap most, if its IoU is at least 0.5. A detection without an object belongs
    to the row of the background, and an object without a detection to its column. A detection
    without an object that has at least half of its area in a region of its class to ignore is left
    out.

    Args:
        matching: of the detections with the ground truth.
        thresholds: lowest score that counts, one for all classes or (K,) for each.

    Returns:
        (K + 1, K + 1) int64: a row for each true class, a column for each detected one, in the
        order of the labels; the last ones are the background's.
    """
    kept = keep_above(matching, thresholds)
    found, truth, pairs, classes = kept.found, kept.truth, kept.pairs, kept.num_classes
    match = assign(pairs, pairs.overlap >= POSITIVE, found, truth)
    matched = match >= 0
    rows = np.full(len(match), classes)
    rows[matched] = truth.label[match[matched]] - 1
    counted = matched | (kept.crowd_overlap < POSITIVE)
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(matrix, (rows[counted], found.label[counted] - 1), 1)
    missed = ~are_taken(match, truth)
    matrix[:-1, -1] = np.bincount(truth.label[missed], minlength=classes + 1)[1:]
    return matrix

"""The images with the most mistakes, and what is wrong in each."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.analysis.tide import CLASSIFICATION, KINDS, Errors, find_errors
from jaxrcnn.evaluation.matching import Matching, keep_above


class Mistake(NamedTuple):
    """A wrong detection, or an object that is missed."""

    kind: str  # one of `KINDS`
    box: np.ndarray  # (4,) xyxy in pixels of the image
    label: int  # of the detection, or of the missed object
    score: float | None = None  # of the detection
    meant: int | None = None  # of a classification error: the label of the object


class WorstImage(NamedTuple):
    """An image and its mistakes, wrong detections first, best score first."""

    image: int  # place in the data set
    mistakes: list[Mistake]
    right: np.ndarray  # (R, 4) boxes of the detections that are right


def worst_images(
    matching: Matching, thresholds: np.ndarray | float, number: int
) -> list[WorstImage]:
    """The images with the most mistakes among detections of at least the score thresholds.

    A mistake is a detection that finds no object of its class, or an object that is missed: one
    that no detection finds, and none would with a better box or class. Of images with as many
    mistakes the first in the data set comes first; images without any are left out.

    Args:
        matching: of all detections.
        thresholds: lowest score that counts, one for all classes or (K,) for each.
        number: of images at most.
    """
    kept = keep_above(matching, thresholds)
    errors = find_errors(kept)
    wrong = (errors.kind >= 0) & ~kept.is_ignored
    counts = np.zeros(kept.num_images, np.int64)
    np.add.at(counts, kept.found.image[wrong], 1)
    np.add.at(counts, kept.truth.image[errors.is_missed], 1)
    order = np.argsort(-counts, kind="stable")[:number]
    return [
        WorstImage(
            int(index),
            _mistakes(kept, errors, wrong, int(index)),
            kept.found.box[kept.is_hit & (kept.found.image == index)],
        )
        for index in order
        if counts[index]
    ]


def _mistakes(matching: Matching, errors: Errors, wrong: np.ndarray, index: int) -> list[Mistake]:
    found, truth = matching.found, matching.truth
    mistakes = []
    for place in np.flatnonzero(wrong & (found.image == index)).tolist():
        kind, target = int(errors.kind[place]), int(errors.target[place])
        named = kind == CLASSIFICATION and target >= 0
        mistakes.append(
            Mistake(
                KINDS[kind],
                found.box[place],
                int(found.label[place]),
                float(found.score[place]),
                int(truth.label[target]) if named else None,
            )
        )
    for place in np.flatnonzero(errors.is_missed & (truth.image == index)).tolist():
        mistakes.append(Mistake("missed", truth.box[place], int(truth.label[place])))
    return mistakes

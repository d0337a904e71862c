"""Which stage of the detector loses objects: the proposals, or what is made of them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.boxes import SIZES
from jaxrcnn.evaluation.matching import POSITIVE, Matching, are_taken, assign

OVERLAPS = (0.5, 0.7)
"""Least overlaps at which an object counts as covered."""

FATES = ("found", "wrong class", "lost by the second stage", "lost by the first stage")


class Recall(NamedTuple):
    """Shares of some objects, from 0 to 1 at each of `OVERLAPS`; None where there is nothing."""

    objects: int
    proposals: tuple[float | None, ...]  # covered by a proposal
    any_class: tuple[float | None, ...]  # found by a detection of whatever class
    own_class: tuple[float | None, ...]  # found by a detection of their class
    fates: dict[str, int | None]  # how many, by `FATES`


def stage_recalls(
    matching: Matching, covers: Mapping[int, np.ndarray] | None, class_names: tuple[str, ...]
) -> dict[str, dict[str, Recall]]:
    """Recall of the proposals beside that of the detections, which says what each stage loses.

    An object is *found* by a detection of its class at IoU 0.5, of the *wrong class* if one of
    another class overlaps it so far; else the *second stage* lost it if a proposal covers it at
    0.5, and the *first stage* if none does. Detections count whatever their score.

    Args:
        matching: of the detections with the ground truth.
        covers: for each image, by its place in the data set, the overlap of each object that is
            not to be ignored with its own proposal, as `jaxrcnn.evaluation.proposals.cover` gives
            it; an image that is missing has no proposals. None where there is no first stage.
        class_names: K names, that of label 1 first.

    Returns:
        Under "all", "size" and "class", recalls by name.
    """
    truth, pairs = matching.truth, matching.pairs
    own, anyone = (
        np.array([_found(matching, allowed & (pairs.overlap >= overlap)) for overlap in OVERLAPS])
        for allowed in (matching.same_class, np.ones(len(pairs.overlap), bool))
    )
    covered = None if covers is None else _covered(matching, covers)
    fates = _fates(matching, covered)

    def of(some: np.ndarray) -> Recall:
        number = int(some.sum())

        def shares(rows: np.ndarray | None) -> tuple[float | None, ...]:
            if rows is None or not number:
                return (None,) * len(OVERLAPS)
            return tuple(rows[:, some].mean(axis=1).tolist())

        counts: dict[str, int | None] = {
            name: int((fates[some] == place).sum()) for place, name in enumerate(FATES)
        }
        if covered is None:  # then it cannot be said which
            counts |= dict.fromkeys(FATES[2:])
        return Recall(number, shares(covered), shares(anyone), shares(own), counts)

    return {
        "all": {"all": of(np.ones(len(truth.label), bool))},
        "size": {
            name: of((truth.area >= least) & (truth.area <= most))
            for name, (least, most) in SIZES.items()
        },
        "class": {name: of(truth.label == label) for label, name in enumerate(class_names, 1)},
    }


def _found(matching: Matching, allowed: np.ndarray) -> np.ndarray:
    """(G,) bool: objects that a detection takes, among pairs (P,) that are allowed."""
    match = assign(matching.pairs, allowed, matching.found, matching.truth)
    return are_taken(match, matching.truth)


def _covered(matching: Matching, covers: Mapping[int, np.ndarray]) -> np.ndarray:
    """(overlaps, G) bool: objects that a proposal covers."""
    counts = np.bincount(matching.truth.image, minlength=matching.num_images)
    parts = [covers.get(index, np.zeros(count)) for index, count in enumerate(counts)]
    cover = np.concatenate([np.zeros(0), *parts])
    return cover >= np.array(OVERLAPS)[:, None]


def _fates(matching: Matching, covered: np.ndarray | None) -> np.ndarray:
    """(G,) int: place in `FATES` of each object."""
    pairs, objects, other_class = matching.pairs, len(matching.truth.label), ~matching.same_class
    other = np.zeros(objects)
    np.maximum.at(other, pairs.object[other_class], pairs.overlap[other_class])
    proposed = np.zeros(objects, bool) if covered is None else covered[0]
    return np.select([matching.is_found, other >= POSITIVE, proposed], [0, 1, 2], 3)

"""What each kind of error costs in average precision (TIDE, arXiv 2008.08115)."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.matching import LEAST, POSITIVE, Matching, best_of_each

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
"""Of errors. All but the last are of detections, in `Errors.kind` by their places here."""

CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND = range(5)

RECALLS = np.arange(101) / 100


class Errors(NamedTuple):
    """What is wrong with each detection, and which objects nothing would have found."""

    kind: np.ndarray  # (D,) int64, place in `KINDS`; -1 of hits
    target: np.ndarray  # (D,) int64, the object that it meant, where that is still free; else -1
    is_missed: np.ndarray  # (G,) bool


class Tide(NamedTuple):
    """Average precision at IoU 0.5, and what would be gained by mending one kind of error alone.

    Numbers from 0 to 1; None where there is neither a detection nor an object.
    """

    ap: float | None
    lost: dict[str, float | None]  # by kind
    false_positives: float | None
    false_negatives: float | None
    counts: dict[str, int]  # errors by kind, without what lies in regions to ignore


def find_errors(matching: Matching) -> Errors:
    """The kind of error of every detection that finds no object of its class.

    A detection's largest overlaps decide, in this order:

    - localisation: 0.1 to 0.5 with an object of its class;
    - classification: at least 0.5 with an object of another class;
    - duplicate: at least 0.5 with an object of its class that a better detection found;
    - background: at most 0.1 with any object;
    - both: everything else, so neither its place nor its class is right.

    An object is missed if no detection finds it, and none would with a better box or class.
    """
    found, pairs, same, match = matching.found, matching.pairs, matching.same_class, matching.match
    number = len(found.label)
    is_found = matching.is_found
    own, own_target = best_of_each(pairs, same, number)
    other, other_target = best_of_each(pairs, ~same, number)
    taken, _ = best_of_each(pairs, same & is_found[pairs.object], number)
    kind = np.select(
        [
            match >= 0,
            (own >= LEAST) & (own <= POSITIVE),
            other >= POSITIVE,
            taken >= POSITIVE,
            np.maximum(own, other) <= LEAST,
        ],
        [-1, LOCALISATION, CLASSIFICATION, DUPLICATE, BACKGROUND],
        BOTH,
    )
    target = np.select(
        [kind == LOCALISATION, kind == CLASSIFICATION], [own_target, other_target], -1
    )
    is_free = np.append(~is_found, False)  # the last place is that of -1
    target = np.where(is_free[target], target, -1)
    is_missed = ~is_found
    is_missed[target[target >= 0]] = False
    return Errors(kind, target, is_missed)


def lost_precision(matching: Matching, errors: Errors) -> Tide:
    """What each kind of error costs, as `tidecv` 1.0.1 computes it.

    Average precision is that of `tidecv`: 101 recalls, and the mean over all classes that have an
    object or a detection; a class of detections without objects counts as 0. To mend a kind of
    error means: detections of a wrong class or place become right, the best one for each object,
    and the others are removed; duplicates, background and what is wrong in both are removed; missed
    objects are no longer expected. Ranks and all else stay.
    """
    found, truth = matching.found, matching.truth
    hit, best = matching.is_hit, _best_for_each_object(matching, errors)
    # tidecv ignores only what lies in a region by more than half.
    counted = hit | (matching.crowd_overlap <= POSITIVE)
    positives = np.bincount(truth.label, minlength=matching.num_classes + 1)
    unfound, missed = (
        np.bincount(truth.label[which], minlength=matching.num_classes + 1)
        for which in (~matching.is_found, errors.is_missed)
    )
    meant = np.where(best, truth.label[errors.target] if len(truth.label) else 0, found.label)

    ap = _mean_precision(
        np.argsort(-found.score, kind="stable"), found.label, hit, counted, positives
    )
    # Of equal scores, tidecv puts errors first once it has mended some.
    order = np.lexsort((hit, -found.score))
    mended = {}
    for number, name in enumerate(KINDS[:-1]):
        wrong = errors.kind == number
        right = wrong & best
        labels = np.where(right, meant, found.label)
        mended[name] = _mean_precision(
            order, labels, hit | right, (counted & ~wrong) | right, positives
        )
    mended["missed"] = _mean_precision(order, found.label, hit, counted, positives - missed)
    hits_first = np.argsort(~hit, kind="stable")
    no_false = _mean_precision(hits_first, found.label, hit, counted, positives)
    none_missing = _mean_precision(order, found.label, hit, counted, positives - unfound)
    gains = {name: _gain(value, ap) for name, value in mended.items()}
    shown = errors.kind[~matching.is_ignored]
    counts = {name: int((shown == number).sum()) for number, name in enumerate(KINDS[:-1])}
    return Tide(
        ap,
        # Below 0 only by the steps of the 101 recalls.
        {name: None if gain is None else max(gain, 0.0) for name, gain in gains.items()},
        _gain(no_false, ap),
        _gain(none_missing, ap),
        {**counts, "missed": int(errors.is_missed.sum())},
    )


def _gain(mended: float | None, ap: float | None) -> float | None:
    return None if mended is None or ap is None else mended - ap


def _best_for_each_object(matching: Matching, errors: Errors) -> np.ndarray:
    """(D,) bool: of the detections that meant the same free object, the best one."""
    meant = np.flatnonzero(errors.target >= 0)
    order = np.lexsort((-matching.found.score[meant], errors.target[meant]))
    _, first = np.unique(errors.target[meant][order], return_index=True)
    best = np.zeros(len(errors.kind), bool)
    best[meant[order][first]] = True
    return best


def _mean_precision(
    order: np.ndarray,
    labels: np.ndarray,
    correct: np.ndarray,
    counted: np.ndarray,
    positives: np.ndarray,
) -> float | None:
    """Mean over the classes that have a detection or an object; None where none has.

    Args:
        order: (D,) of the detections, best first.
        labels, correct, counted: (D,) of each detection; those that are not counted are left out.
        positives: (K + 1,) objects of each label.
    """
    order = order[counted[order]]
    # By class, best first in each; numpy sorts short integers fastest.
    order = order[np.argsort(labels[order].astype(np.int16), kind="stable")]
    ends = np.searchsorted(labels[order], np.arange(len(positives)), side="right")
    values = [
        _average_precision(correct[order[start:end]], int(objects))
        for start, end, objects in zip(ends, ends[1:], positives[1:], strict=False)
        if end > start or objects
    ]
    return float(np.mean(values)) if values else None


def _average_precision(correct: np.ndarray, positives: int) -> float:
    """From (M,) bool, best first, and the number of objects: mean over 101 recalls."""
    if positives == 0:
        return 0.0
    hits = np.cumsum(correct)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / positives, RECALLS)
    return float(np.append(envelope, 0.0)[places].mean())

"""PASCAL VOC's average precision, as the development kit computes it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.evaluation.boxes import iou

if TYPE_CHECKING:
    from jaxrcnn.data.records import Dataset
    from jaxrcnn.evaluation.coco import ImageDetections

HIT, LEFT_OUT, FALSE = 1, 0, -1


def voc_metrics(
    dataset: "Dataset",
    detections: Mapping[int, "ImageDetections"],
    *,
    eleven_point: bool,
    iou_threshold: float = 0.5,
) -> dict[str, float]:
    """Average precision of every class and their mean.

    As in the development kit (VOCevaldet.m): the detections of a class, best score first, each go
    to the ground-truth box of their image and class that they overlap most, taken or not. An
    overlap of at least the threshold is a hit; a second hit of the same box is false; a hit of a
    difficult box (or a crowd) is left out, and difficult boxes need not be found. Coordinates are
    continuous, which equals the kit's inclusive corners with their "+1".

    Args:
        dataset: the ground truth.
        detections: what is found, by the image's place in the data set; an image that is
            missing has no detections.
        eleven_point: mean of the best precision at recall 0, 0.1 .. 1 (VOC 2007) instead of the
            area under the monotone precision-recall curve (VOC 2010 and later).
        iou_threshold: least overlap of a hit.

    Returns:
        ``eval/voc_AP_<class name>`` of each class that has objects to find, and their mean
        ``eval/mAP``, left out where no class has any.
    """
    labels, scores, outcomes = _outcomes(dataset, detections, iou_threshold)
    positives = _positives(dataset)
    precisions = {}
    for label, name in enumerate(dataset.class_names, 1):
        if positives[label] == 0:
            continue
        counted = (labels == label) & (outcomes != LEFT_OUT)
        best_first = np.argsort(-scores[counted], kind="stable")
        hits = outcomes[counted][best_first] == HIT
        precisions[f"eval/voc_AP_{name}"] = _average_precision(
            hits, int(positives[label]), eleven_point
        )
    mean = {"eval/mAP": float(np.mean(list(precisions.values())))} if precisions else {}
    return mean | precisions


def _positives(dataset: "Dataset") -> np.ndarray:
    """Objects to find of each label, (K + 1,) int."""
    counts = np.zeros(len(dataset.class_names) + 1, int)
    for record in dataset.records:
        np.add.at(counts, record.labels[~(record.difficult | record.crowd)], 1)
    return counts


def _outcomes(
    dataset: "Dataset", detections: Mapping[int, "ImageDetections"], iou_threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, score and outcome of all detections, each (M,), images in the data set's order."""
    labels, scores, outcomes = [np.zeros(0, int)], [np.zeros(0)], [np.zeros(0, int)]
    for index in sorted(detections):
        record, found = dataset.records[index], detections[index]
        for label in np.unique(found.labels):
            theirs, mine = found.labels == label, record.labels == label
            best_first = np.argsort(-found.scores[theirs], kind="stable")
            labels.append(np.full(len(best_first), label))
            scores.append(found.scores[theirs][best_first])
            outcomes.append(
                _match(
                    found.boxes[theirs][best_first],
                    record.boxes[mine],
                    (record.difficult | record.crowd)[mine],
                    iou_threshold,
                )
            )
    return np.concatenate(labels), np.concatenate(scores), np.concatenate(outcomes)


def _match(
    boxes: np.ndarray, truth: np.ndarray, ignored: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Outcome of each detection of one image and class, best first: (D,) int."""
    outcomes = np.full(len(boxes), FALSE)
    if len(truth) == 0:
        return outcomes
    overlaps = iou(boxes, truth)
    taken = np.zeros(len(truth), bool)
    for detection, target in enumerate(overlaps.argmax(axis=1)):
        if overlaps[detection, target] < iou_threshold:
            continue
        if ignored[target]:
            outcomes[detection] = LEFT_OUT
        elif not taken[target]:
            outcomes[detection] = HIT
            taken[target] = True
    return outcomes


def _average_precision(hits: np.ndarray, positives: int, eleven_point: bool) -> float:
    """From (M,) bool, best first, and the number of objects to find."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    if eleven_point:
        # In whole numbers: as floats, 3 * 0.1 > 3 / 10 and the point would be missed.
        reached = 10 * found >= positives * np.arange(11)[:, None]  # (11, M)
        return float(np.where(reached, precision, 0).max(axis=1, initial=0).mean())
    # Recall grows by 1 / positives at each hit, so the area is a sum over hits.
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float(monotone[hits].sum() / positives)

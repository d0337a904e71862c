"""All that explains a score, and analysis.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.analysis.calibration import Calibration, calibrate
from jaxrcnn.evaluation.analysis.confusion import confusion_matrix
from jaxrcnn.evaluation.analysis.curves import Curves, draw_curves
from jaxrcnn.evaluation.analysis.stages import OVERLAPS, Recall, stage_recalls
from jaxrcnn.evaluation.analysis.tide import Tide, find_errors, lost_precision
from jaxrcnn.evaluation.analysis.worst import WorstImage, worst_images
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.matching import LEAST, POSITIVE, Matching, match_detections

FILE = "analysis.json"

FORMAT = 1
"""Of the file."""

DEFAULT_THRESHOLD = 0.5
"""Score threshold of a class that has no best one."""

WORST = 20
"""Images that are shown with their mistakes."""


class Analysis(NamedTuple):
    """Why the score of some detections is what it is."""

    matching: Matching
    tide: Tide
    curves: Curves
    thresholds: np.ndarray  # (K,) best score threshold of each class, or `DEFAULT_THRESHOLD`
    confusion: np.ndarray  # (K + 1, K + 1) at these thresholds
    calibration: Calibration
    has_proposals: bool
    recalls: dict[str, dict[str, Recall]]
    worst: list[WorstImage]  # at these thresholds


def analyse(
    dataset: Dataset,
    detections: Mapping[int, ImageDetections],
    covers: Mapping[int, np.ndarray] | None = None,
    max_detections: int = 100,
) -> Analysis:
    """Explain the score of detections.

    Args:
        dataset: the ground truth.
        detections: what is found, by the image's place in the data set; an image that is missing
            has no detections.
        covers: how well proposals cover the objects, see `stage_recalls`; None without proposals.
        max_detections: best detections of an image that count.
    """
    matching = match_detections(dataset, detections, max_detections)
    curves = draw_curves(matching)
    thresholds = np.array([DEFAULT_THRESHOLD if x is None else x.score for x in curves.best])
    return Analysis(
        matching,
        lost_precision(matching, find_errors(matching)),
        curves,
        thresholds,
        confusion_matrix(matching, thresholds),
        calibrate(matching),
        covers is not None,
        stage_recalls(matching, covers, dataset.class_names),
        worst_images(matching, thresholds, WORST),
    )


def to_json(
    analysis: Analysis,
    dataset: Dataset,
    metrics: Mapping[str, float],
    by_class: Mapping[str, Mapping[str, float]],
    step: int | None = None,
) -> dict[str, Any]:
    """What analysis.json holds: plain values, None for numbers that do not exist.

    Args:
        analysis: of the detections.
        dataset: the ground truth.
        metrics: of the evaluation, by name.
        by_class: average precision of each class, by the name of the class and of the number.
        step: of the checkpoint, if there is one.
    """
    names, matching = dataset.class_names, analysis.matching
    content = {
        "format": FORMAT,
        "step": step,
        "images": matching.num_images,
        "objects": len(matching.truth.label),
        "detections": len(matching.found.label),
        "left_out": matching.left_out,
        "iou": POSITIVE,
        "background_iou": LEAST,
        "metrics": dict(metrics),
        "classes": _classes(analysis, names, by_class),
        "tide": analysis.tide._asdict(),
        "confusion": {
            "names": [*names, "background"],
            "thresholds": analysis.thresholds,
            "matrix": analysis.confusion,
        },
        "curves": _curves(analysis.curves, names),
        "calibration": {
            "error": analysis.calibration.error,
            "counts": analysis.calibration.counts,
            "scores": analysis.calibration.scores,
            "precision": analysis.calibration.precision,
        },
        "recall": _recalls(analysis.recalls),
        "worst": [_worst(one, dataset) for one in analysis.worst],
    }
    return _plain(content)


def _classes(
    analysis: Analysis, names: Sequence[str], by_class: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """The numbers of each class, by its name."""
    errors = analysis.calibration.errors
    return {
        name: {
            "objects": analysis.recalls["class"][name].objects,
            **by_class.get(name, {}),
            "threshold": best.score if best else None,
            "precision": best.precision if best else None,
            "recall": best.recall if best else None,
            "f1": best.f1 if best else None,
            "calibration_error": error,
        }
        for name, best, error in zip(names, analysis.curves.best, errors, strict=True)
    }


def _curves(curves: Curves, names: Sequence[str]) -> dict[str, Any]:
    """The curves of each class, by its name, and the scores that they are over."""
    rows = zip(names, *(np.round(values, 6) for values in curves[1:4]), strict=True)
    return {
        "scores": curves.scores,
        "classes": {
            name: {"precision": precision, "recall": recall, "f1": f1}
            for name, precision, recall, f1 in rows
        },
    }


def _recalls(groups: Mapping[str, Mapping[str, Recall]]) -> dict[str, Any]:
    """The recalls of each group of objects, and the overlaps that they are at."""
    return {
        "ious": OVERLAPS,
        **{
            group: {name: recall._asdict() for name, recall in recalls.items()}
            for group, recalls in groups.items()
        },
    }


def _worst(one: WorstImage, dataset: Dataset) -> dict[str, Any]:
    record = dataset.records[one.image]

    def name(label: int | None) -> str | None:
        return None if label is None else dataset.class_names[label - 1]

    return {
        "image_id": record.source_id,
        "file_name": record.name,
        "mistakes": [
            {
                "kind": mistake.kind,
                "class": name(mistake.label),
                "object_class": name(mistake.meant),
                "score": mistake.score,
                "box": np.round(mistake.box, 2),
            }
            for mistake in one.mistakes
        ],
    }


def _plain(value: Any) -> Any:
    """Lists and numbers of Python; None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

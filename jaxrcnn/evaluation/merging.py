"""What is found in several views of an image, as the detections of one image."""

import functools
from typing import Any

import jax
import numpy as np

from jaxrcnn.config import DetectionsConfig
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.ops.nms import nms
from jaxrcnn.ops.soft_nms import soft_nms

LEAST = 64
"""Detections are padded to so many, or twice as many and so on, so that few programs are made."""


def merge(found: ImageDetections, config: DetectionsConfig) -> ImageDetections:
    """The best of all detections of an image, after the NMS that the detector has.

    Args:
        found: of all views, in pixels of the image.
        config: which NMS, its thresholds, and how many detections there may be.

    Returns:
        At most config.max_detections, best first.
    """
    number = len(found.scores)
    if not number:
        return found
    size = LEAST
    while size < number:
        size *= 2
    boxes, scores, labels = (
        np.pad(values, [(0, size - number)] + [(0, 0)] * (values.ndim - 1)) for values in found
    )
    places, kept_scores, kept = jax.tree.map(
        np.asarray, _suppress(boxes, scores, np.arange(size) < number, labels, config=config)
    )
    places = places[kept]
    return ImageDetections(found.boxes[places], kept_scores[kept], found.labels[places])


@functools.partial(jax.jit, static_argnames="config")
def _suppress(
    boxes: Any, scores: Any, valid: Any, labels: Any, config: DetectionsConfig
) -> tuple[Any, Any, Any]:
    """Places, scores and mask of what is kept, as `jaxrcnn.stages.detections` has it."""
    iou, most = config.nms_iou, config.max_detections
    if config.soft_nms == "none":
        places, kept = nms(boxes, scores, valid, iou, most, labels)
        return places, scores[places], kept
    return soft_nms(
        *(boxes, scores, valid, iou, most, labels),
        method=config.soft_nms,
        sigma=config.soft_nms_sigma,
        score_threshold=config.score_threshold,
    )

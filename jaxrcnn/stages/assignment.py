"""Which boxes are trained, and on which ground truth: both stages of the detector share it."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxrcnn.ops.boxes import coverage_matrix, iou_matrix
from jaxrcnn.ops.matching import mark_ignored, match
from jaxrcnn.ops.sampling import Sampler
from jaxrcnn.types import Array, Batch


class Thresholds(NamedTuple):
    """When a box counts as what (see `jaxrcnn.ops.matching.match`)."""

    foreground_iou: float
    background_iou: float
    background_floor: float = 0.0
    low_quality_matches: bool = False


class Assignment(NamedTuple):
    """The boxes of one image that were drawn. S places."""

    index: Array  # (S,) int32, into the boxes
    valid: Array  # (S,) bool, False where fewer could be drawn
    foreground: Array  # (S,) bool
    labels: Array  # (S,) int32, of the matched ground truth; 0 for the background
    matched_boxes: Array  # (S, 4) float32; the box itself for the background
    weights: Array  # (S,) float32, of the matched ground truth; 1 for the background
    matched: Array  # (S,) int32, the ground truth of largest overlap, for the background too


def assign(
    key: Array,
    boxes: Array,
    valid: Array,
    truth: Batch,
    thresholds: Thresholds,
    samples: int,
    foreground_fraction: float,
    sampler: Sampler,
) -> Assignment:
    """Match the boxes of one image to its ground truth and draw some of them.

    Labels are discrete, so no gradient flows into the choice.

    Args:
        key: of this image.
        boxes: (A, 4) anchors or proposals, pixels.
        valid: (A,) bool, False is never drawn.
        truth: the ground truth of one image, (G, ...).
        thresholds: on the overlaps.
        samples: how many to draw, S.
        foreground_fraction: largest share of foreground among them.
        sampler: draws from the labelled boxes.
    """
    fixed = lax.stop_gradient(boxes)
    matched = match(
        iou_matrix(fixed, truth.boxes),
        truth.box_valid,
        thresholds.foreground_iou,
        thresholds.background_iou,
        thresholds.low_quality_matches,
        thresholds.background_floor,
    )
    label = mark_ignored(matched.label, coverage_matrix(fixed, truth.boxes), truth.box_ignore)
    label = jnp.where(valid, label, -1)
    index, drawn = sampler(key, label, matched.overlap, samples, foreground_fraction)
    foreground = drawn & (label[index] == 1)
    match_of = matched.index[index]
    return Assignment(
        index=index,
        valid=drawn,
        foreground=foreground,
        labels=jnp.where(foreground, truth.labels[match_of], 0),
        matched_boxes=jnp.where(foreground[:, None], truth.boxes[match_of], fixed[index]),
        weights=jnp.where(foreground, truth.box_weights[match_of], 1.0),
        matched=match_of,
    )

"""What can be measured on proposals and samples: widths, recall, positives, drift."""

import jax
import jax.numpy as jnp

from jaxrcnn.config import ModelConfig
from jaxrcnn.ops.boxes import clip, decode, iou_matrix
from jaxrcnn.training.alternating import Stage
from jaxrcnn.types import Array, Batch, Flow, at_least_float32

WIDTH_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
RECALL_IOUS = (0.5, 0.7)
DRIFT_ANCHORS = 100
"""Of each image, those of largest objectness: about what becomes proposals."""


def measure_flow(flow: Flow, batch: Batch, stage: Stage) -> dict[str, Array]:
    """Widths and recall of the proposals, and positives of what the stage trains; scalars."""
    measured = {**proposal_widths(flow, batch), **proposal_recall(flow, batch)}
    counted = batch.image_weights > 0  # (N,)
    positives = {
        "positives/anchors": flow.anchor_foreground,
        "positives/rois": flow.rois.valid & (flow.rois.labels > 0),
    }
    left_out = {"rpn": "positives/rois", "fast_rcnn": "positives/anchors"}.get(stage)
    for name, chosen in positives.items():
        if name != left_out:
            measured[name] = share((chosen & counted[:, None]).sum(), counted.sum())
    return measured


def proposal_widths(flow: Flow, batch: Batch) -> dict[str, Array]:
    """Quantiles of the proposals' widths over the batch, pixels."""
    counted = flow.proposals.valid & (batch.image_weights > 0)[:, None]  # (N, R)
    boxes = flow.proposals.boxes
    widths = jnp.where(counted, boxes[..., 2] - boxes[..., 0], jnp.nan)
    quantiles = jnp.nanquantile(widths, jnp.array(WIDTH_QUANTILES))
    return {f"width/{q:g}": x for q, x in zip(WIDTH_QUANTILES, quantiles, strict=True)}


def proposal_recall(flow: Flow, batch: Batch) -> dict[str, Array]:
    """Share of the ground truth that a proposal overlaps enough; NaN where there is none.

    Ignore regions do not count, nor does the ground truth that is appended to the proposals.
    """
    overlap = jax.vmap(iou_matrix)(flow.proposals.boxes, batch.boxes)  # (N, R, G)
    best = jnp.where(flow.proposals.valid[..., None], overlap, 0).max(1)  # (N, G)
    real = batch.box_valid & ~batch.box_ignore & (batch.image_weights > 0)[:, None]
    return {
        f"recall/{iou:g}": share((real & (best >= iou)).sum(), real.sum()) for iou in RECALL_IOUS
    }


def best_anchors(flow: Flow) -> Array:
    """Indices (N, k) of each image's anchors of largest objectness."""
    number = min(DRIFT_ANCHORS, len(flow.anchors))
    return jax.lax.top_k(flow.rpn.objectness, number)[1]


def boxes_of(
    deltas: Array, index: Array, anchors: Array, image_sizes: Array, config: ModelConfig
) -> Array:
    """Boxes (N, k, 4) that deltas (N, A, 4) make of the anchors (A, 4) of an index (N, k)."""
    chosen = jnp.take_along_axis(deltas, index[..., None], 1)
    boxes = decode(chosen, anchors[index], config.rpn.coder_weights)
    return jax.vmap(clip)(boxes, image_sizes)


def drift(a: Array, b: Array, image_weights: Array) -> Array:
    """Mean absolute difference of the coordinates of boxes (N, k, 4), pixels."""
    counted = (image_weights > 0)[:, None, None]
    moved = jnp.where(counted, jnp.abs(a - b), 0).sum()
    return share(moved, counted.sum() * a[0].size)


def share(part: Array, whole: Array) -> Array:
    """The quotient in float32 at least, NaN where there is nothing to divide by."""
    part, whole = at_least_float32(part), at_least_float32(whole)
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), jnp.nan)

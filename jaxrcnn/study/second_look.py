"""A training step that labels the proposals again after an open gate has moved them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxrcnn import detector as library
from jaxrcnn.config import ModelConfig
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.ops.boxes import clip
from jaxrcnn.ops.sampling import Sample
from jaxrcnn.stages.inputs import clean
from jaxrcnn.stages.losses import box_head_losses
from jaxrcnn.stages.rois import sample_rois
from jaxrcnn.types import (
    Array,
    Batch,
    BoxOutput,
    Flow,
    Gates,
    Losses,
    Proposals,
    RoiSamples,
)

MOVE = 0.1
"""How far a proposal moves: the corner coordinate that moves most, in sides of the proposal."""


def train_with_second_look(
    detector: Detector,
    variables: Variables,
    batch: Batch,
    key: Array,
    train: bool = True,
    gates: Gates | None = None,
    proposals: Proposals | None = None,
) -> tuple[Losses, Variables, Flow]:
    """`forward_train` with the second stage's losses at the moved RoIs, labelled again.

    The first look is `forward_train`. Its gradient moves each RoI (`moved`), which is then matched
    and labelled again (`labelled_again`). The box head runs on the moved RoIs, and both of its
    losses are computed there. Their gradients flow as without the second look, also through the
    gate; the move itself is a constant. A closed gate moves nothing, and validation has only the
    first look.

    Where RoIs move depends on the gate, so that losses and gradients are not linear in it: the
    norms that `jaxrcnn.training.diagnostics` gives for a route, differences between an open and a
    closed gate, also contain what other labels change.
    """
    losses, updated, flow = library.forward_train(
        detector, variables, batch, key, train, gates, proposals
    )
    config = detector.config
    if not train or config.proposals.stop_gradient:
        return losses, updated, flow
    _, roi_keys, dropout_key = library.draw_keys(key, batch.image_index)
    batch = clean(batch)

    def second_stage(
        variables: Variables, maps: Any, rois: RoiSamples
    ) -> tuple[Any, BoxOutput, Any]:
        pooled = library.pool(detector, maps, rois.boxes)
        head, variables = library.apply(detector, "box_head", variables, pooled, train, dropout_key)
        output = library.split_images(head, len(rois.boxes))
        losses = box_head_losses(
            output, rois, batch.image_weights, config.box_head, detector.roi_losses
        )
        return losses, output, variables

    fixed, maps, rois = jax.lax.stop_gradient((variables, flow.features, flow.rois))

    def total(boxes: Array, references: Array) -> Array:
        given = rois._replace(boxes=boxes, references=references)
        return sum(second_stage(fixed, maps, given)[0], start=jnp.zeros(()))

    behind = jax.grad(total, (0, 1))(rois.boxes, rois.references)
    slope = before_gate(detector, rois, behind, gates)
    boxes = moved(rois, slope, batch.image_sizes)
    again = labelled_again(roi_keys, boxes, rois.valid, batch, config)
    shift = boxes - rois.boxes
    seen = again._replace(boxes=flow.rois.boxes + shift, references=flow.rois.references + shift)
    of_boxes, output, updated = second_stage(updated, flow.features, seen)
    losses = Losses(losses.rpn_objectness, losses.rpn_box, *of_boxes)
    return losses, updated, flow._replace(rois=seen, output=output)


def before_gate(
    detector: Detector, rois: RoiSamples, slopes: tuple[Array, Array], gates: Gates | None
) -> Array:
    """The gradient in the RoIs' boxes (N, S, 4) that the gate lets through from those behind it.

    Args:
        detector: has the gate.
        rois: before the gate.
        slopes: gradients in the boxes and in the references behind it, (N, S, 4) each.
        gates: how wide the gate is; None is as wide as in the config.
    """

    def passed(boxes: Array) -> tuple[Array, Array]:
        given = rois._replace(boxes=boxes, references=boxes)
        given = detector.gate(given, detector.config.proposals, gates)
        return given.boxes, given.references

    (slope,) = jax.vjp(passed, rois.boxes)[1](slopes)
    return slope


def moved(rois: RoiSamples, slope: Array, image_sizes: Array) -> Array:
    """The RoIs' boxes (N, S, 4) after a step of steepest descent, clipped to the image.

    The step is relative to the sides of the box and equally long for all boxes: the coordinate that
    moves most moves by `MOVE`. Appended ground truth is not a proposal and does not move.

    Args:
        rois: before the step.
        slope: (N, S, 4) gradient of the loss in the boxes, per pixel.
        image_sizes: (N, 2).
    """
    sides = rois.boxes[..., 2:] - rois.boxes[..., :2]
    sides = jnp.concatenate([sides, sides], -1)
    relative = slope * sides  # in sides of the box
    largest = jnp.abs(relative).max(-1, keepdims=True)
    is_truth = (rois.labels > 0) & (rois.boxes == rois.matched_boxes).all(-1)
    moves = (largest > 0) & ~is_truth[..., None]
    step = MOVE * sides * relative / jnp.where(moves, largest, 1)
    boxes = jnp.where(moves, rois.boxes - step, rois.boxes)
    return jax.vmap(clip)(boxes, image_sizes)


def labelled_again(
    keys: Array, boxes: Array, valid: Array, batch: Batch, config: ModelConfig
) -> RoiSamples:
    """The boxes (N, S, 4) as RoIs in the same order, matched and labelled by their new positions.

    Those that are no longer foreground or background are not valid.
    """
    given = Proposals(boxes, jnp.zeros_like(boxes[..., 0]), valid)
    proposals = dataclasses.replace(config.proposals, append_ground_truth=False)
    return sample_rois(
        keys, given, batch, dataclasses.replace(config, proposals=proposals), _in_place
    )


def _in_place(key: Array, label: Array, overlap: Array, size: int, share: float) -> Sample:
    """A sampler that takes every candidate that has a label."""
    del key, overlap, size, share
    return Sample(jnp.arange(len(label), dtype=jnp.int32), label >= 0)

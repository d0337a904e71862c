"""Detectors that each remove one supposed cause of the harm done by an open gate.

Each function builds a detector for ``--pieces jaxrcnn.study.interventions:NAME``. The scheme still
determines which routes of the gate are open. Inference and the weights are those of the library's
detector. docs/schemes.md describes the claims and what each outcome would mean.

Three of the detectors change the unit in which the second stage's box loss is measured. For the
horizontal centre, the library's error of a RoI with centre x and width w, predicted delta d and
true centre g is

    E = d - 10 (g - x) / w

where 10 is the first of box_head.coder_weights. This is the distance from the predicted centre
c = x + d w / 10 to the true one, in widths of the proposal: E = 10 (c - g) / w. Through the
targets, its derivatives are 10 / w in x and 10 (g - x) / w**2 in w: a wider proposal has smaller
targets. The errors of width and height, 5 log(w exp(d / 5) / w_g), compare the predicted size with
the true one. They do not get smaller with larger proposals, and are left as they are.
"""

import jax
import jax.numpy as jnp

from jaxrcnn import detector as library
from jaxrcnn.config import BoxHeadConfig, ConfigError, ModelConfig, ProposalsConfig
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.ops.boxes import clip, decode, encode
from jaxrcnn.stages.gate import gate
from jaxrcnn.stages.inputs import clean
from jaxrcnn.stages.losses import IOU_LOSSES, box_head_losses, roi_losses
from jaxrcnn.study.second_look import train_with_second_look
from jaxrcnn.types import Array, Batch, BoxOutput, Flow, Gates, Losses, Proposals, RoiSamples

PIXELS = 32.0
"""Divisor of `pixel_normaliser`: about the side of an object at the input sizes of
configs/shapes.py (27 on average) and configs/bccd_r18_fpn.py (40), so that the loss has about its
usual size."""


def constant_normaliser(config: ModelConfig) -> Detector:
    """The library's losses, without a gradient through the sides that centres are divided by.

    The error is E = d - 10 (g - x) / constant(w). Its derivative in x remains 10 / w; in w it is 0.
    All values of the forward pass, and all gradients except that of the targets route, are the
    library's. If proposals still grow, it is not because larger ones have smaller targets.
    """
    return library.build(_measured_in_sides(config), roi_losses=constant_normaliser_losses)


def pixel_normaliser(config: ModelConfig) -> Detector:
    """Errors of the centre in units of `PIXELS`, so that wide proposals do not have smaller ones.

    The error is E = 10 (c - g) / PIXELS = (w d - 10 (g - x)) / PIXELS, with the derivatives
    10 / PIXELS in x, d / PIXELS in w and w / PIXELS in d. The last one also trains the box head, so
    the control is the closed gate with the same loss.
    """
    return library.build(_measured_in_sides(config), roi_losses=pixel_normaliser_losses)


def anchor_normaliser(config: ModelConfig) -> Detector:
    """Errors of the centre in widths of the proposal's anchor, which are fixed.

    The error is E = 10 (c - g) / w_a = (w d - 10 (g - x)) / w_a, with the derivatives 10 / w_a in
    x, d / w_a in w and w / w_a in d. The last one also trains the box head, so the control is the
    closed gate with the same loss. See `anchor_sides`.
    """
    return library.build(_measured_in_sides(config), train=train_in_anchors)


def second_look(config: ModelConfig) -> Detector:
    """Losses at proposals that are matched and labelled again after the second stage moved them.

    Within each step, every sampled RoI is moved against the second stage's gradient by a tenth of
    its side (`jaxrcnn.study.second_look`), then matched and labelled again, and the losses are
    computed at its new position. Their gradient flows through the gate as usual. So leaving an
    object no longer pays: a RoI that does not overlap it enough any more is trained on as
    background, and one that has come near an object as foreground, with the targets of its new
    position.

    If an open gate hurts because labels and matches are constants, AP and recall should now be near
    those of the closed gate, which the second look does not change. If they remain as far below as
    without it, the claim is refuted: the second stage moves the proposals even if it is given the
    labels of the positions that it moves them to.
    """
    return library.build(config, train=train_with_second_look)


def objects_only(config: ModelConfig) -> Detector:
    """The gate of the config for RoIs of objects; closed for the background.

    The class loss of a background RoI near an object gets smaller if the RoI moves away from it,
    and nothing else of the second stage pulls it back. If an open gate hurts because of that, AP
    and recall should now be near those of the closed gate. If they remain as far below as without
    it, the harm comes from the foreground.
    """
    return library.build(config, gate=gate_of_objects)


def gate_of_objects(
    rois: RoiSamples, config: ProposalsConfig, gates: Gates | None = None
) -> RoiSamples:
    """`gate` of `objects_only`."""
    opened, closed = gate(rois, config, gates), jax.lax.stop_gradient(rois)
    is_object = (rois.labels > 0)[..., None]  # (N, S, 1)
    return closed._replace(
        boxes=jnp.where(is_object, opened.boxes, closed.boxes),
        references=jnp.where(is_object, opened.references, closed.references),
    )


def constant_normaliser_losses(
    output: BoxOutput, rois: RoiSamples, image_weights: Array, config: BoxHeadConfig
) -> tuple[Array, Array]:
    """`roi_losses` of `constant_normaliser`."""
    fixed = jax.lax.stop_gradient(rois.references)
    # All zeros. The derivative in the centre is 10 / w, and in the sides only that of the logarithm
    # remains, because the centres' difference is 0.
    moved = encode(rois.references, fixed, config.coder_weights)  # (N, S, 4)
    output = output._replace(deltas=output.deltas + moved[:, :, None])
    return roi_losses(output, rois._replace(references=fixed), image_weights, config)


def pixel_normaliser_losses(
    output: BoxOutput, rois: RoiSamples, image_weights: Array, config: BoxHeadConfig
) -> tuple[Array, Array]:
    """`roi_losses` of `pixel_normaliser`."""
    sides = jnp.full((*rois.labels.shape, 2), PIXELS, rois.references.dtype)
    return roi_losses(*measured_in(sides, output, rois, config), image_weights, config)


def train_in_anchors(
    detector: Detector,
    variables: Variables,
    batch: Batch,
    key: Array,
    train: bool = True,
    gates: Gates | None = None,
    proposals: Proposals | None = None,
) -> tuple[Losses, Variables, Flow]:
    """`forward_train` with the box loss of `anchor_normaliser`."""
    if proposals is not None:
        raise ConfigError(
            "anchor_normaliser requires the detector's own RPN: set train.scheme=joint"
        )
    losses, variables, flow = library.forward_train(detector, variables, batch, key, train, gates)
    config, weights = detector.config.box_head, clean(batch).image_weights
    sides = anchor_sides(flow, batch.image_sizes, detector.config)
    output, rois = measured_in(sides, flow.output, flow.rois, config)
    _, box_reg = box_head_losses(output, rois, weights, config, detector.roi_losses)
    return losses._replace(box_reg=box_reg), variables, flow


def measured_in(
    sides: Array, output: BoxOutput, rois: RoiSamples, config: BoxHeadConfig
) -> tuple[BoxOutput, RoiSamples]:
    """The same predicted boxes, relative to references (N, S, 4) that no gradient moves.

    Predicted and true box are both encoded relative to a box at the proposal's centre that has the
    given sides (N, S, 2), pixels. Their difference does not depend on that centre.
    """
    weights, references = config.coder_weights, rois.references
    predicted = decode(output.deltas, references[:, :, None], weights)  # (N, S, K, 4)
    centre = (references[..., :2] + references[..., 2:]) / 2
    fixed = jnp.concatenate([centre - sides / 2, centre + sides / 2], -1)
    fixed = jax.lax.stop_gradient(fixed)
    deltas = encode(predicted, fixed[:, :, None], weights)
    return output._replace(deltas=deltas), rois._replace(references=fixed)


def anchor_sides(flow: Flow, image_sizes: Array, config: ModelConfig) -> Array:
    """Width and height of each RoI's anchor, (N, S, 2) pixels, without gradient.

    A RoI does not store its anchor, so this takes the anchor whose decoded box is nearest to it:
    for a proposal its own, for appended ground truth that of the closest proposal.
    """
    rpn, rois, anchors = jax.lax.stop_gradient((flow.rpn, flow.rois.references, flow.anchors))
    boxes = decode(rpn.deltas, anchors, config.rpn.coder_weights)  # (N, A, 4)
    boxes = jax.vmap(clip)(boxes, image_sizes)

    def nearest(rois: Array, boxes: Array) -> Array:
        pairs = (jnp.abs(rois[:, None, i] - boxes[None, :, i]) for i in range(4))  # (S, A) each
        return jnp.argmin(sum(pairs, start=jnp.zeros(())), 1)

    chosen = anchors[jax.vmap(nearest)(rois, boxes)]
    return chosen[..., 2:] - chosen[..., :2]


def _measured_in_sides(config: ModelConfig) -> ModelConfig:
    """The config, whose box loss has to be one that is measured in sides of the proposal."""
    kind = config.box_head.box_loss
    if kind in IOU_LOSSES:
        raise ConfigError(
            f"model.box_head.box_loss={kind} compares boxes directly, so it has no normaliser to "
            "replace; use smooth_l1, l1 or huber"
        )
    return config

"""Faster R-CNN (arXiv 1506.01497) as pure functions: images to losses, proposals, detections.

Read `forward_train` beside the paper, one line an arrow:

    image -> features -> anchors -> RPN -> proposals -> sampled RoIs -> gradient gate
          -> RoI features -> box head -> losses

A `Detector` says which pieces are used; the arrays they need are its `Variables`. To exchange a
piece, hand another one to `build`. A detector of more stages or heads has a `train` and an `infer`
of its own, which can go on from what these functions return (docs/forking.md).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import ConfigError, ModelConfig
from jaxrcnn.nets.backbone import build_backbone
from jaxrcnn.nets.heads import build_box_head, build_rpn_head
from jaxrcnn.nets.initializers import draw, plan
from jaxrcnn.ops.roi import RoiOp
from jaxrcnn.ops.sampling import Sampler, sample
from jaxrcnn.stages.detections import detect
from jaxrcnn.stages.gate import Gate, gate
from jaxrcnn.stages.inputs import clean, clean_proposals, normalise
from jaxrcnn.stages.losses import RoiLosses, box_head_losses, roi_losses, rpn_losses
from jaxrcnn.stages.mining import mine_hard_examples
from jaxrcnn.stages.pooling import ROI_OPS, pool_rois
from jaxrcnn.stages.proposals import propose
from jaxrcnn.stages.rois import sample_rois
from jaxrcnn.stages.rpn import concatenate_levels, draw_anchors, sample_anchors
from jaxrcnn.types import (
    Array,
    Batch,
    BoxOutput,
    Detections,
    Flow,
    Gates,
    Losses,
    Proposals,
)

Variables = Mapping[str, Mapping[str, Any]]
"""Collection ("params", "constants", "batch_stats") -> part ("backbone", ...) -> arrays.

Under "proposer" there may be the variables of a second network, a backbone and an RPN: the box head
then works on its proposals. In alternating training that is the network of the step before.
"""

COLLECTIONS = ("params", "constants", "batch_stats")

SAMPLE_SIZE = (64, 64)  # of the image that `init` traces; the parameters do not depend on it

Train = Callable[..., tuple[Any, Variables, Flow]]
"""As `forward_train`: training minimises the sum of the scalars in the record of losses."""

Infer = Callable[..., Any]
"""As `forward_infer`: its record has the fields of `Detections`, and may have others."""


class Detector(NamedTuple):
    """The pieces of a detector. Hashable, so that it can be a static argument under jit."""

    config: ModelConfig
    backbone: Any  # module: (N, H, W, 3) -> tuple of (N, H_l, W_l, C); .strides, .roi_levels
    rpn_head: Any  # module: those maps -> logits (N, H_l, W_l, C), deltas (N, H_l, W_l, C*4)
    box_head: Any  # module: (M, P, P, C) -> logits (M, K + 1), deltas (M, K or 1, 4)
    roi_op: RoiOp
    anchor_sampler: Sampler
    roi_sampler: Sampler
    gate: Gate
    roi_losses: RoiLosses
    train: Train
    infer: Infer


def forward_train(
    detector: Detector,
    variables: Variables,
    batch: Batch,
    key: Array,
    train: bool = True,
    gates: Gates | None = None,
    proposals: Proposals | None = None,
) -> tuple[Losses, Variables, Flow]:
    """The four losses of a batch: all of joint training but the optimiser.

    Where only some of the losses are used, `jax.jit` drops what the others need: the RPN's alone
    cost no box head, and with given proposals the second stage's alone cost no RPN.

    Args:
        detector: the pieces.
        variables: their arrays.
        batch: images with ground truth.
        key: of this step; an image's draws depend on it and on image_index alone.
        train: False runs the networks in inference mode, for the validation loss.
        gates: how far the gate stands open, by default as far as config.proposals ever opens it.
        proposals: (N, R, ...) of another source, in place of the own RPN's.

    Returns:
        The losses, the variables with new batch statistics, and what went along the arrows.

    Raises:
        ValueError: an argument has another shape or dtype.
    """
    config, strides = detector.config, detector.backbone.strides
    batch = clean(batch)
    anchor_keys, roi_keys, dropout_key = draw_keys(key, batch.image_index)

    images = normalise(batch.images, batch.image_sizes, config)
    features, variables = apply(detector, "backbone", variables, images, train)
    anchors, level_sizes = draw_anchors(images, features, strides, config.anchors)
    rpn_maps, variables = apply(detector, "rpn_head", variables, features, train)
    rpn = concatenate_levels(*rpn_maps)
    if proposals is None:
        proposals = propose(rpn, anchors, level_sizes, batch.image_sizes, config, train=True)
    else:
        proposals = clean_proposals(proposals)
    rois = sample_rois(roi_keys, proposals, batch, config, detector.roi_sampler)
    rois = detector.gate(rois, config.proposals, gates)
    pooled = pool(detector, features, rois.boxes)
    head, variables = apply(detector, "box_head", variables, pooled, train, dropout_key)
    output = split_images(head, rois.boxes.shape[0])
    roi_losses, weights = detector.roi_losses, batch.image_weights
    rois = mine_hard_examples(output, rois, weights, config.box_head, roi_losses)
    anchor_samples = sample_anchors(
        anchor_keys, anchors, batch, config.rpn, detector.anchor_sampler
    )
    losses = Losses(
        *rpn_losses(rpn, anchors, anchor_samples, weights, config.rpn),
        *box_head_losses(output, rois, weights, config.box_head, roi_losses),
    )
    flow = Flow(features, rpn, proposals, rois, output, anchors, anchor_samples.foreground)
    return losses, variables, flow


def forward_infer(
    detector: Detector,
    variables: Variables,
    images: Array,
    image_sizes: Array,
    proposals: Proposals | None = None,
) -> Detections:
    """Detections of a batch of images.

    Args:
        detector: the pieces.
        variables: their arrays.
        images: (N, H, W, 3) uint8 or float32, RGB, 0..255, padded. H and W may be any.
        image_sizes: (N, 2) height and width inside the padding.
        proposals: (N, R, ...) of another source, in place of the own RPN's.

    Returns:
        Detections (N, D, ...), boxes in pixels of the padded input.

    Raises:
        ValueError: an argument has another shape or dtype.
    """
    if proposals is None and "proposer" not in variables:
        features, proposals = first_stage(detector, variables, images, image_sizes)
    else:
        if proposals is None:
            proposals = forward_propose(detector, variables, images, image_sizes)
        proposals = clean_proposals(proposals)
        pixels = normalise(images, image_sizes, detector.config)
        features, _ = apply(detector, "backbone", variables, pixels)
    pooled = pool(detector, features, proposals.boxes)
    head, _ = apply(detector, "box_head", variables, pooled)
    output = split_images(head, images.shape[0])
    return detect(output, proposals, image_sizes, detector.config)


def run_infer(detector: Detector, variables: Variables, *batch: Any) -> Any:
    """What the detector's own `infer` finds; the same function for all, to be jitted."""
    return detector.infer(detector, variables, *batch)


def forward_propose(
    detector: Detector,
    variables: Variables,
    images: Array,
    image_sizes: Array,
    train: bool = False,
) -> Proposals:
    """Proposals (N, R, ...) of a batch of images: those that `forward_infer` looks into.

    The first arguments are those of `forward_infer`; the box head is not run, nor needed. With
    `train` the proposals are as many as in training.
    """
    source = variables.get("proposer", variables)
    _, proposals = first_stage(detector, source, images, image_sizes, train)
    return proposals


def proposals_for(detector: Detector, variables: Variables, batch: Batch) -> Proposals:
    """Proposals (N, R, ...) to train Fast R-CNN alone on: the batch's, or else a proposer's."""
    if batch.proposals is not None:
        return batch.proposals
    return forward_propose(detector, variables, batch.images, batch.image_sizes, train=True)


def first_stage(
    detector: Detector,
    variables: Variables,
    images: Array,
    image_sizes: Array,
    train: bool = False,
) -> tuple[Sequence[Array], Proposals]:
    """Features of every level, and proposals with the counts for inference or for training."""
    config, strides = detector.config, detector.backbone.strides
    images = normalise(images, image_sizes, config)
    features, _ = apply(detector, "backbone", variables, images)
    anchors, level_sizes = draw_anchors(images, features, strides, config.anchors)
    rpn_maps, _ = apply(detector, "rpn_head", variables, features)
    rpn = concatenate_levels(*rpn_maps)
    return features, propose(rpn, anchors, level_sizes, image_sizes, config, train)


def apply(
    detector: Detector,
    name: str,
    variables: Variables,
    x: Any,
    train: bool = False,
    dropout_key: Array | None = None,
    **options: Any,
) -> tuple[Any, Variables]:
    """Run one network of the detector.

    Args:
        detector: the pieces.
        name: "backbone", "rpn_head" or "box_head".
        variables: of the whole detector.
        x: what the network takes.
        train: training mode: batch norm takes the batch's statistics, dropout drops.
        dropout_key: for dropout, in training.
        options: of flax's ``Module.apply``, or what else a network of your own takes. ``method``
            names another function of the module than its call.

    Returns:
        What the network gives, and the variables with its new batch statistics.

    Raises:
        ValueError: a collection is missing.
    """
    if not variables.keys() >= set(COLLECTIONS):
        here, needed = (", ".join(names) for names in (variables, COLLECTIONS))
        raise ValueError(f"variables has {here}; it needs {needed}, as init makes them")
    own = {collection: variables[collection][name] for collection in COLLECTIONS}
    rngs = None if dropout_key is None else {"dropout": dropout_key}
    with jax.named_scope(name):
        y, new = getattr(detector, name).apply(
            own, x, train=train, mutable=["batch_stats"], rngs=rngs, **options
        )
    statistics = {**variables["batch_stats"], name: new.get("batch_stats", {})}
    return y, {**variables, "batch_stats": statistics}


@jax.named_scope("draw_keys")
def draw_keys(key: Array, image_index: Array) -> tuple[Array, Array, Array]:
    """Keys for a step's draws: anchors (N,), RoIs (N,), dropout (one).

    An image's keys are folded from its place in the data set, so that neither its place in the
    batch nor the number of devices changes a draw.
    """
    dropout_key, key = jax.random.split(key)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, image_index)  # (N,)
    pairs = jax.vmap(jax.random.split)(keys)  # (N, 2)
    return pairs[:, 0], pairs[:, 1], dropout_key


def pool(detector: Detector, features: Sequence[Array], boxes: Array) -> Array:
    """RoI features (N*S, P, P, C) of boxes (N, S, 4), from the maps that serve the box head."""
    levels = detector.backbone.roi_levels
    strides = detector.backbone.strides[:levels]
    return pool_rois(features[:levels], strides, boxes, detector.roi_op, detector.config.roi)


@jax.named_scope("split_images")
def split_images(head: tuple[Array, Array], n: int) -> BoxOutput:
    """The box head's answer by image."""
    class_logits, deltas = head
    return BoxOutput(
        class_logits.reshape(n, -1, class_logits.shape[-1]),  # (N*S, K+1) -> (N, S, K+1)
        deltas.reshape(n, -1, *deltas.shape[1:]),  # (N*S, K, 4) -> (N, S, K, 4)
    )


def build(
    config: ModelConfig,
    *,
    backbone: Any = None,
    rpn_head: Any = None,
    box_head: Any = None,
    roi_op: RoiOp | None = None,
    anchor_sampler: Sampler = sample,
    roi_sampler: Sampler = sample,
    gate: Gate = gate,
    roi_losses: RoiLosses = roi_losses,
    train: Train = forward_train,
    infer: Infer = forward_infer,
) -> Detector:
    """The detector that a config describes, with own pieces in place of some.

    Args:
        config: of the model.
        backbone: a module as in `Detector`, instead of config.backbone and config.neck.
        rpn_head: a module as in `Detector`, instead of config.rpn's.
        box_head: a module as in `Detector`, instead of config.box_head's.
        roi_op: a function as in `jaxrcnn.ops.roi`, instead of config.roi.op.
        anchor_sampler, roi_sampler: functions such as `jaxrcnn.ops.sampling.sample`.
        gate: a function such as `jaxrcnn.stages.gate.gate`.
        roi_losses: a function such as `jaxrcnn.stages.losses.roi_losses`: what every RoI adds to
            the class and the box loss.
        train: a function such as `forward_train`. Its losses are any named tuple of scalars: joint
            training minimises their sum, and each is logged under its name. Those that are not
            named as the RPN's in `Losses` belong to the second stage.
        infer: a function such as `forward_infer`. What it returns has the fields of `Detections`.

    Raises:
        ConfigError: config.compute_dtype is "float64" and JAX_ENABLE_X64 is not set.
    """
    if config.compute_dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise ConfigError("model.compute_dtype=float64 requires JAX_ENABLE_X64=1")
    return Detector(
        config=config,
        backbone=backbone or build_backbone(config.backbone, config.neck, config.compute_dtype),
        rpn_head=rpn_head or build_rpn_head(config),
        box_head=box_head or build_box_head(config),
        roi_op=roi_op or ROI_OPS[config.roi.op],
        anchor_sampler=anchor_sampler,
        roi_sampler=roi_sampler,
        gate=gate,
        roi_losses=roi_losses,
        train=train,
        infer=infer,
    )


def init(detector: Detector, key: Array) -> Variables:
    """Random parameters, drawn from the key; float32."""
    image = jax.ShapeDtypeStruct((1, *SAMPLE_SIZE, 3), jnp.float32)
    backbone, features = plan(detector.backbone, image)
    rpn_head, _ = plan(detector.rpn_head, features)
    side = detector.config.roi.output_size
    pooled = jax.ShapeDtypeStruct((1, side, side, features[0].shape[-1]), jnp.float32)
    box_head, _ = plan(detector.box_head, pooled)
    parts = draw({"backbone": backbone, "rpn_head": rpn_head, "box_head": box_head}, key)
    return {
        collection: {name: part.get(collection, {}) for name, part in parts.items()}
        for collection in COLLECTIONS
    }

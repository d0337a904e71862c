"""The legend of shapes, and the records that travel along the detector's arrows.

    N   images in a batch            H, W   height and width of the padded network input, pixels
    G   ground-truth boxes, padded     K      object classes; label 0 is the background
    A   anchors over all levels        L      levels of the feature pyramid
    R   proposals of one image       S      sampled RoIs of one image
    D   detections of one image      P      side of the pooled RoI window

Boxes are ``(x0, y0, x1, y1)``, float32, in pixels of the padded network input, continuous
coordinates: the width is ``x1 - x0``. Sizes are ``(height, width)``. Images are NHWC. Arrays are
padded to static shapes and carry a boolean mask; what stands in a masked place never reaches a
loss, a gradient or a metric. Boxes, sums and losses are computed in float32 at least, whatever the
networks compute in.
"""

from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp

Array = jax.Array


def precise_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """float32, unless the dtype is float64.

    float64 is kept so that gradients can be checked against finite differences.
    """
    return jnp.dtype(jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32)


def at_least_float32(x: Array) -> Array:
    """Cast to `precise_dtype`."""
    return x.astype(precise_dtype(x.dtype))


class Batch(NamedTuple):
    """Images of one bucket shape with their ground truth."""

    images: Array  # (N, H, W, 3) uint8 or float32, RGB, 0..255; anything beyond image_sizes
    image_sizes: Array  # (N, 2) int32, height and width of the image inside the padding
    image_index: Array  # (N,) int32, place in the data set; random draws are folded from it
    image_weights: Array  # (N,) float32, weight of the image's losses; 0 marks a padded image
    boxes: Array  # (N, G, 4) float32
    labels: Array  # (N, G) int32, 1..K
    box_valid: Array  # (N, G) bool, False marks padding
    box_ignore: Array  # (N, G) bool, ignore region: a crowd, or VOC's difficult
    box_weights: Array  # (N, G) float32, weight of what is matched to this box
    proposals: "Proposals | None" = None  # (N, R, ...) given ones; None where an RPN makes them
    extra: dict[str, Array] | None = None  # (N, ...) each, of a data set's transforms, by name


class RpnOutput(NamedTuple):
    """What the region proposal network says of every anchor, levels concatenated."""

    objectness: Array  # (N, A) float32, logits
    deltas: Array  # (N, A, 4) float32


class Proposals(NamedTuple):
    """Boxes that may hold an object, best first."""

    boxes: Array  # (N, R, 4) float32
    scores: Array  # (N, R) float32, objectness logits; -inf where padded
    valid: Array  # (N, R) bool


class Gates(NamedTuple):
    """How far the gradient gate stands open on each of its two routes, scalars from 0 to 1."""

    pooling: jax.typing.ArrayLike  # through the RoI op
    targets: (
        jax.typing.ArrayLike
    )  # through the regression targets, which are encoded against the boxes


class RoiSamples(NamedTuple):
    """The proposals that the second stage trains on, with what each should say."""

    boxes: Array  # (N, S, 4) float32, where to pool
    references: Array  # (N, S, 4) float32, the same boxes, which the box deltas are relative to
    labels: Array  # (N, S) int32, 0 is the background
    matched_boxes: Array  # (N, S, 4) float32, ground truth; the box itself for the background
    weights: Array  # (N, S) float32, weight of the matched ground truth; 1 for the background
    valid: Array  # (N, S) bool
    matched: Array  # (N, S) int32, place in the ground truth; the largest overlap, if any


class BoxOutput(NamedTuple):
    """What the box head says of every RoI."""

    class_logits: Array  # (N, S, K + 1) float32
    deltas: Array  # (N, S, K, 4) float32; (N, S, 1, 4) where regression is class-agnostic


class Losses(NamedTuple):
    """The four losses of joint training, scalars in float32 (paper, section 3.1.2)."""

    rpn_objectness: Array
    rpn_box: Array
    box_class: Array
    box_reg: Array


class Flow(NamedTuple):
    """What went along the arrows of a training pass, for instruments; unused, it costs nothing."""

    features: tuple[Array, ...]  # a (N, H_l, W_l, C) map for each level
    rpn: RpnOutput
    proposals: Proposals
    rois: RoiSamples
    output: BoxOutput
    anchors: Array  # (A, 4) float32
    anchor_foreground: Array  # (N, S) bool, of the anchors that are trained


class Detections(NamedTuple):
    """What is found, best first."""

    boxes: Array  # (N, D, 4) float32
    scores: Array  # (N, D) float32, 0 where padded
    labels: Array  # (N, D) int32, 1..K
    valid: Array  # (N, D) bool


RECORDS = (Batch, RpnOutput, Proposals, Gates, RoiSamples, BoxOutput, Losses, Flow, Detections)
for record in RECORDS:  # so that jax.export can write functions that take or give them
    jax.export.register_namedtuple_serialization(
        record, serialized_name=f"jaxrcnn.{record.__name__}"
    )

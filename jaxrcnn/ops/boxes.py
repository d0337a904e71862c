"""Box geometry: areas, overlaps, and the box deltas that the network regresses.

A box is ``(x0, y0, x1, y1)`` in pixels, continuous coordinates. Everything here has finite values
and finite gradients for finite boxes, those without area included; where all sides are positive the
gradients are exact.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jaxrcnn.types import Array

MAX_LOG_RATIO = math.log(1000 / 16)
"""Largest log of a decoded side over the anchor's: 16 pixels become at most 1000."""

SMALLEST_SIDE = 1e-6
"""Sides of no more pixels have no length: `encode` and `complete_iou` must not divide by them."""


def area(boxes: Array) -> Array:
    """Area in square pixels, (..., 4) -> (...); 0 for an inverted box."""
    width = boxes[..., 2] - boxes[..., 0]
    height = boxes[..., 3] - boxes[..., 1]
    return jnp.maximum(width, 0) * jnp.maximum(height, 0)


def has_area(boxes: Array, min_size: float = 0.0) -> Array:
    """Whether both sides are positive and at least `min_size` pixels, (..., 4) -> (...) bool."""
    width, height = _sides(boxes)
    return (jnp.minimum(width, height) > 0) & (jnp.minimum(width, height) >= min_size)


def clip(boxes: Array, image_size: Array | tuple[int, int]) -> Array:
    """Boxes (..., 4) cut at the edges of an image of `image_size` (height, width) pixels."""
    height, width = image_size
    limits = jnp.stack([width, height, width, height]).astype(boxes.dtype)
    return jnp.clip(boxes, 0, limits.reshape((1,) * (boxes.ndim - 1) + (4,)))


def iou_matrix(a: Array, b: Array) -> Array:
    """Intersection over union of every pair, (A, 4) and (B, 4) -> (A, B); 0 without a union."""
    return _iou(a[:, None], b[None])


def coverage_matrix(a: Array, b: Array) -> Array:
    """Share of the area of a that lies in b, (A, 4) and (B, 4) -> (A, B); 0 where a has no area.

    COCO compares detections with crowd regions in this way.
    """
    a, b = a[:, None], b[None]
    return _ratio(_intersection(a, b), area(a))


def generalized_iou(a: Array, b: Array) -> Array:
    """GIoU of each pair, (..., 4) and (..., 4) -> (...), from -1 to 1 (arXiv 1902.09630)."""
    intersection = _intersection(a, b)
    union = area(a) + area(b) - intersection
    hull = area(_hull(a, b))
    return _ratio(intersection, union) - _ratio(hull - union, hull)


def distance_iou(a: Array, b: Array) -> Array:
    """DIoU of each pair, (..., 4) and (..., 4) -> (...), from -1 to 1 (arXiv 1911.08287, eq. 7)."""
    hull_x, hull_y = _sides(_hull(a, b))
    a_x, a_y = _centre(a)
    b_x, b_y = _centre(b)
    distance = jnp.square(a_x - b_x) + jnp.square(a_y - b_y)
    return _iou(a, b) - _ratio(distance, jnp.square(hull_x) + jnp.square(hull_y))


def complete_iou(a: Array, b: Array) -> Array:
    """CIoU of each pair, (..., 4) and (..., 4) -> (...) (arXiv 1911.08287, eq. 10).

    The trade-off alpha is a constant to the gradient. A box without sides has the aspect ratio 0.
    """
    difference = _aspect_angle(a) - _aspect_angle(b)
    aspect = 4 / math.pi**2 * jnp.square(difference)
    alpha = lax.stop_gradient(_ratio(aspect, 1 - _iou(a, b) + aspect))
    return distance_iou(a, b) - alpha * aspect


def encode(boxes: Array, anchors: Array, weights: Sequence[float]) -> Array:
    """Deltas that take anchors to boxes, (..., 4) and (..., 4) -> (..., 4), times the four weights.

    ``dx = (x - x_a) / w_a`` and ``dw = log(w / w_a)``, likewise for y and h (Faster R-CNN, eq. 2).
    A side of no length, of a box or of an anchor, counts as a constant one pixel.
    """
    box_x, box_y = _centre(boxes)
    box_width, box_height = _positive_sides(boxes)
    anchor_x, anchor_y = _centre(anchors)
    anchor_width, anchor_height = _positive_sides(anchors)
    deltas = (
        weights[0] * (box_x - anchor_x) / anchor_width,
        weights[1] * (box_y - anchor_y) / anchor_height,
        weights[2] * jnp.log(box_width / anchor_width),
        weights[3] * jnp.log(box_height / anchor_height),
    )
    return jnp.stack(deltas, axis=-1)


def decode(deltas: Array, anchors: Array, weights: Sequence[float]) -> Array:
    """Boxes that deltas make of anchors, (..., 4) and (..., 4) -> (..., 4); inverse of `encode`.

    The log of a side's growth is cut at `MAX_LOG_RATIO`; beyond it, its gradient is zero.
    """
    anchor_x, anchor_y = _centre(anchors)
    anchor_width, anchor_height = _sides(anchors)
    x = anchor_x + deltas[..., 0] / weights[0] * anchor_width
    y = anchor_y + deltas[..., 1] / weights[1] * anchor_height
    width = anchor_width * jnp.exp(jnp.minimum(deltas[..., 2] / weights[2], MAX_LOG_RATIO))
    height = anchor_height * jnp.exp(jnp.minimum(deltas[..., 3] / weights[3], MAX_LOG_RATIO))
    return jnp.stack(
        [x - width / 2, y - height / 2, x + width / 2, y + height / 2],
        axis=-1,
    )


def _sides(boxes: Array) -> tuple[Array, Array]:
    return boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]


def _positive_sides(boxes: Array) -> tuple[Array, Array]:
    width, height = _sides(boxes)
    return (
        jnp.where(width > SMALLEST_SIDE, width, 1),
        jnp.where(height > SMALLEST_SIDE, height, 1),
    )


def _centre(boxes: Array) -> tuple[Array, Array]:
    return (boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2


def _ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient, and 0 with no gradient where the denominator is too small to divide by."""
    # The quotient's gradient divides by the square, which must not vanish in float32 either.
    usable = denominator > SMALLEST_SIDE**2
    return jnp.where(usable, numerator, 0) / jnp.where(usable, denominator, 1)


def _intersection(a: Array, b: Array) -> Array:
    # Coordinate by coordinate: of arrays that end in two, a compiler makes slow loops.
    width = jnp.minimum(a[..., 2], b[..., 2]) - jnp.maximum(a[..., 0], b[..., 0])
    height = jnp.minimum(a[..., 3], b[..., 3]) - jnp.maximum(a[..., 1], b[..., 1])
    return jnp.maximum(width, 0) * jnp.maximum(height, 0)


def _iou(a: Array, b: Array) -> Array:
    intersection = _intersection(a, b)
    return _ratio(intersection, area(a) + area(b) - intersection)


def _hull(a: Array, b: Array) -> Array:
    corner = jnp.minimum(a[..., :2], b[..., :2])
    opposite = jnp.maximum(a[..., 2:], b[..., 2:])
    return jnp.concatenate([corner, opposite], axis=-1)


def _aspect_angle(boxes: Array) -> Array:
    """Arc tangent of width over height."""
    width, height = _sides(boxes)
    # At (0, 0) the angle has no gradient; one that is measured at height 1 is finite.
    has_side = jnp.maximum(width, height) > SMALLEST_SIDE
    return jnp.arctan2(jnp.where(has_side, width, 0), jnp.where(has_side, height, 1))

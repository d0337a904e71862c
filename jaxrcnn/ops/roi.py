"""What the RoI ops share: their form, the pyramid level of a box, and rows of feature pixels.

    R   RoIs of one image           P   side of the pooled window (output_size)
    C   channels                    T   pixels of all levels together

A RoI is pooled on its own level only. The levels are laid out as one table of pixels, so that a
RoI's level is nothing but an offset into the table and a bound on the indices.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxrcnn.ops.stencil import Term
from jaxrcnn.types import at_least_float32

Array = jax.Array

# A sample that should not count is put here, where the interpolant is 0.
OUTSIDE = -2.0

# Coordinates are cut here, pixels: whole numbers up to here are exact in float32 and fit an int32.
LARGEST_COORDINATE = 1e7


class RoiOp(Protocol):
    """The form of every RoI op; a fork hands in its own."""

    def __call__(
        self,
        features: Sequence[Array],
        strides: Sequence[int],
        boxes: Array,
        levels: Array,
        output_size: int,
        sampling_ratio: int,
    ) -> Array:
        """Pool each box of one image from its own feature map.

        Args:
            features: maps (H_l, W_l, C), float32 or bfloat16, fine to coarse.
            strides: pixels of the network input in a step of each map.
            boxes: (R, 4) float32, pixels of the network input. A padded row may hold anything.
            levels: (R,) int32, each box's place in `features`.
            output_size: side P of the pooled window.
            sampling_ratio: samples of a bin along each axis; what 0 means is the op's to say.

        Returns:
            (R, P, P, C), of the features' dtype.
        """
        ...


class Span(NamedTuple):
    """The boxes along one axis, pixels of their own map."""

    start: Array  # (R,)
    size: Array  # (R,)


class RoiLevels(NamedTuple):
    """Where each RoI's feature map lies in the table of pixels."""

    first_row: Array  # (R,) int32, the row of the map's pixel (0, 0)
    height: Array  # (R,) int32
    width: Array  # (R,) int32
    stride: Array  # (R,) int32, pixels of the network input


def assign_levels(
    boxes: Array,
    num_levels: int,
    first_level: int,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
) -> Array:
    """Choose each box's pyramid level by its size (FPN, arXiv 1612.03144, equation 1).

    Args:
        boxes: (R, 4) float32, pixels of the network input.
        num_levels: levels to choose from.
        first_level: the finest one's number, 2 for P2.
        canonical_size: square root of the area that belongs on `canonical_level`, pixels.
        canonical_level: number of that level.

    Returns:
        (R,) int32 in [0, num_levels), places in the tuple of levels. No gradient passes.
    """
    boxes = jax.lax.stop_gradient(boxes)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    size = jnp.sqrt(jnp.maximum(width, 0) * jnp.maximum(height, 0))
    # The addend, Detectron2's and torchvision's, keeps a box of no area finite.
    level = jnp.floor(canonical_level + jnp.log2(size / canonical_size + 1e-8)) - first_level
    level = jnp.where(jnp.isnan(level), 0, level)
    return jnp.clip(level, 0, num_levels - 1).astype(jnp.int32)


def flatten_levels(
    features: Sequence[Array], strides: Sequence[int], levels: Array
) -> tuple[Array, RoiLevels]:
    """Lay the maps out as one table of pixels (T, C), and look up each RoI's part of it."""
    sizes = [feature.shape[:2] for feature in features]
    areas = [math.prod(size) for size in sizes]
    firsts = [sum(areas[:level]) for level in range(len(areas))]
    # (H_l, W_l, C) -> (H_l*W_l, C) -> (T, C)
    rows = jnp.concatenate([f.reshape(-1, f.shape[-1]) for f in features])
    chosen = jnp.clip(levels, 0, len(features) - 1)
    return rows, RoiLevels(
        first_row=jnp.array(firsts, jnp.int32)[chosen],
        height=jnp.array([height for height, _ in sizes], jnp.int32)[chosen],
        width=jnp.array([width for _, width in sizes], jnp.int32)[chosen],
        stride=jnp.array(strides, jnp.int32)[chosen],
    )


def boxes_on_level(boxes: Array, roi_levels: RoiLevels) -> Array:
    """Scale boxes to their own map's pixels; (R, 4), of float32 at least.

    Whatever a padded row holds becomes finite here, so that it cannot reach an index or a gradient.
    """
    boxes = at_least_float32(boxes)
    boxes = jnp.where(jnp.isfinite(boxes), boxes, 0)
    boxes = jnp.clip(boxes, -LARGEST_COORDINATE, LARGEST_COORDINATE)
    return boxes / roi_levels.stride[:, None].astype(boxes.dtype)


def spans(boxes: Array) -> tuple[Span, Span]:
    """Start and size of boxes (R, 4) along y and along x."""
    x0, y0, x1, y1 = boxes.T
    return Span(y0, y1 - y0), Span(x0, x1 - x0)


def pixel_rows(y: Array, x: Array, roi_levels: RoiLevels) -> Array:
    """Rows (R, I, J) of the table for pixels y (R, I) and x (R, J), int32, inside the RoI's map."""
    lines = roi_levels.first_row[:, None] + y * roi_levels.width[:, None]
    return lines[:, :, None] + x[:, None, :]


def bilinear_terms(y: Array, x: Array, roi_levels: RoiLevels) -> list[Term]:
    """The four pixels around each sample of a grid, y (R, I) by x (R, J), pixels of the RoI's map.

    The interpolant is a sum of hat functions: beyond the outermost pixels it falls to 0 within one
    pixel.
    """
    return [
        Term(pixel_rows(iy, ix, roi_levels), wy[:, :, None] * wx[:, None, :])
        for iy, wy in _linear_terms(y, roi_levels.height)
        for ix, wx in _linear_terms(x, roi_levels.width)
    ]


def _linear_terms(at: Array, extent: Array) -> list[Term]:
    last = (extent[:, None] - 1).astype(at.dtype)
    # On the last pixel the slope is that of the map, not of the fall beyond it.
    low = jnp.floor(at) - (at == last).astype(at.dtype)
    terms = []
    for pixel, weight in ((low, low + 1 - at), (low + 1, at - low)):
        inside = (pixel >= 0) & (pixel <= last)
        index = jnp.clip(pixel, 0, last).astype(jnp.int32)
        terms.append(Term(index, jnp.where(inside, weight, 0)))
    return terms

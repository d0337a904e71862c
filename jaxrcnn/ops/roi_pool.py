"""RoIPool (Fast R-CNN, arXiv 1504.08083, section 2.1): the largest value in each bin."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.ops.roi import Array, RoiLevels, boxes_on_level, flatten_levels, pixel_rows
from jaxrcnn.ops.stencil import largest
from jaxrcnn.types import at_least_float32


def roi_pool(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """RoIPool as torchvision's: corners rounded to whole pixels, the last pixel included.

    An empty bin gives 0. Among equal values the first in row-major order takes the gradient; boxes
    have none. Bin p of a box of n pixels reaches from floor(p n / P) to ceil((p + 1) n / P), in
    whole numbers: torchvision's float32 division makes the last bin of a few widths (57, 114, ...
    for P = 7) one pixel wider. `sampling_ratio` is not used. See `RoiOp` for the arguments.
    """
    del sampling_ratio
    table, roi_levels = flatten_levels(features, strides, levels)
    on_map = boxes_on_level(jax.lax.stop_gradient(boxes), roi_levels)
    best = _rows_of_maxima(jax.lax.stop_gradient(table), on_map, roi_levels, output_size)
    # In float32, so that the gradients of overlapping RoIs add up in it.
    maxima = at_least_float32(table)[jnp.maximum(best, 0), jnp.arange(table.shape[1])]
    return jnp.where(best >= 0, maxima, 0).astype(table.dtype)


class _Bins(NamedTuple):
    """Bins along one axis, whole pixels of the map."""

    start: Array  # (R, P) int32
    end: Array  # (R, P) int32, exclusive


def _rows_of_maxima(table: Array, boxes: Array, roi_levels: RoiLevels, output_size: int) -> Array:
    """Find the row of the table that holds each bin's maximum: (R, P, P, C) int32, -1 if empty."""
    x0, y0, x1, y1 = _round_half_away(boxes).T
    y = _bins(y0, y1, roi_levels.height, output_size)
    x = _bins(x0, x1, roi_levels.width, output_size)
    lines = jnp.max(y.end - y.start, axis=1)
    across = jnp.max(x.end - x.start, axis=1)

    def visit(step: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        value, row = best
        dy, dx = jnp.divmod(step, jnp.maximum(across, 1))
        iy, ix = y.start + dy[:, None], x.start + dx[:, None]
        inside = (iy < y.end)[:, :, None] & (ix < x.end)[:, None, :]
        candidate = jnp.where(inside, pixel_rows(iy, ix, roi_levels), 0)
        greater = inside[..., None] & (table[candidate] > value)
        value = jnp.where(greater, table[candidate], value)
        return value, jnp.where(greater, candidate[..., None], row)

    shape = (boxes.shape[0], output_size, output_size, table.shape[1])
    # Like what varies over devices under shard_map, as it demands of what a loop begins with.
    nothing = jnp.full_like(table, -jnp.inf, shape=shape), jnp.full_like(lines, -1, shape=shape)
    return jax.lax.fori_loop(0, largest(lines * across), visit, nothing)[1]


def _bins(first: Array, last: Array, extent: Array, output_size: int) -> _Bins:
    """Cut pixels first..last into bins, then keep what lies on the map."""
    size = jnp.maximum(last - first + 1, 1)[:, None]
    bins = jnp.arange(output_size, dtype=jnp.int32)[None]
    start = first[:, None] + bins * size // output_size
    end = first[:, None] - (-(bins + 1) * size) // output_size
    return _Bins(*(jnp.clip(edge, 0, extent[:, None]) for edge in (start, end)))


def _round_half_away(x: Array) -> Array:
    """C's round: halves go away from zero. -> int32."""
    whole = jnp.trunc(x)
    return (whole + jnp.sign(x) * (jnp.abs(x - whole) >= 0.5).astype(x.dtype)).astype(jnp.int32)

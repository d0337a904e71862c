"""PrRoIPool (arXiv 1807.11590, section 3.1): the mean of the interpolated features over a bin."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.ops.roi import (
    Array,
    RoiLevels,
    Span,
    boxes_on_level,
    flatten_levels,
    pixel_rows,
    spans,
)
from jaxrcnn.ops.stencil import Term, largest, stencil_sum

# A bin narrower than this has no area, pixels of the map: float32 resolves no less.
NARROWEST = 1e-6


def roi_pool_precise(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """Integrate the bilinear interpolant over each bin, exactly, and divide by the bin's area.

    The interpolant is a sum of hat functions with no half-pixel shift, and falls to 0 within one
    pixel of the map's border. The gradient in the boxes is continuous. A box of no area gives 0.
    `sampling_ratio` is not used. See `RoiOp` for the arguments.
    """
    del sampling_ratio
    table, roi_levels = flatten_levels(features, strides, levels)
    y, x = spans(boxes_on_level(boxes, roi_levels))
    window_y = _window(y, roi_levels.height, output_size)
    window_x = _window(x, roi_levels.width, output_size)
    steps = largest(window_y.pixels * window_x.pixels)
    means = stencil_sum(_pixel_terms, table, (y, x), (window_y, window_x, roi_levels), steps)
    return means.astype(table.dtype)


class _Window(NamedTuple):
    """The pixels along one axis whose hat functions reach into a bin."""

    first: Array  # (R, P) int32
    last: Array  # (R, P) int32
    pixels: Array  # (R,) int32, in the RoI's longest window


def _window(span: Span, extent: Array, output_size: int) -> _Window:
    start, end = jax.lax.stop_gradient(_bin_sides(span, output_size))
    border = (extent[:, None] - 1).astype(start.dtype)
    first = jnp.clip(jnp.floor(start), 0, border).astype(jnp.int32)
    last = jnp.clip(jnp.ceil(end), 0, border).astype(jnp.int32)
    return _Window(first, last, jnp.maximum(jnp.max(last - first, axis=1) + 1, 0))


def _bin_sides(span: Span, output_size: int) -> tuple[Array, Array]:
    """Start and end of every bin, (R, P) each."""
    fractions = jnp.arange(output_size + 1, dtype=span.start.dtype)[None] / output_size
    sides = span.start[:, None] + fractions * span.size[:, None]
    return sides[:, :-1], sides[:, 1:]


def _pixel_terms(
    step: Array, geometry: tuple[Span, Span], constants: tuple[_Window, _Window, RoiLevels]
) -> list[Term]:
    """Take the same pixel of every bin's window."""
    (span_y, span_x), (window_y, window_x, roi_levels) = geometry, constants
    dy, dx = jnp.divmod(step, jnp.maximum(window_x.pixels, 1))
    iy, wy = _mean_hat(span_y, window_y, dy)
    ix, wx = _mean_hat(span_x, window_x, dx)
    return [Term(pixel_rows(iy, ix, roi_levels), wy[:, :, None] * wx[:, None, :])]


def _mean_hat(span: Span, window: _Window, number: Array) -> Term:
    """A pixel of each bin's window, and its hat function's mean over the bin; (R, P) each."""
    start, end = _bin_sides(span, window.first.shape[1])
    pixel = window.first + number[:, None]
    place = pixel.astype(start.dtype)
    # Each straight half of the hat is integrated by its height in the middle: no difference of
    # two nearly equal integrals, so that narrow bins lose no digits.
    start_left, end_left = (jnp.clip(side - place, -1, 0) for side in (start, end))
    start_right, end_right = (jnp.clip(side - place, 0, 1) for side in (start, end))
    integral = (end_left - start_left) * (1 + (start_left + end_left) / 2)
    integral += (end_right - start_right) * (1 - (start_right + end_right) / 2)
    counts = (pixel <= window.last) & (end - start > NARROWEST)
    mean = integral / jnp.where(counts, end - start, 1)
    return Term(jnp.minimum(pixel, window.last), jnp.where(counts, mean, 0))

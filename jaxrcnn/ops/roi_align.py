"""RoIAlign (arXiv 1703.06870, section 3): the mean of bilinear samples in each bin."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.ops.roi import (
    OUTSIDE,
    Array,
    RoiLevels,
    Span,
    bilinear_terms,
    boxes_on_level,
    flatten_levels,
    spans,
)
from jaxrcnn.ops.stencil import Term, largest, stencil_sum


def roi_align(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """RoIAlign with the half-pixel shift: Detectron2's ROIAlignV2, torchvision's `aligned=True`.

    A pixel's value stands at its centre, half a stride from its corner. A `sampling_ratio` of 0
    takes for each RoI and axis ceil(size / P) samples of a bin, the size in pixels of the map; a
    box of no area then has none, and gives 0. See `RoiOp` for the arguments.
    """
    table, roi_levels = flatten_levels(features, strides, levels)
    y, x = spans(boxes_on_level(boxes, roi_levels) - 0.5)
    return _mean_of_samples(table, y, x, roi_levels, output_size, sampling_ratio)


def roi_align_unaligned(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """RoIAlign without the shift, torchvision's default: a box is at least one pixel of its map.

    Otherwise as `roi_align`.
    """
    table, roi_levels = flatten_levels(features, strides, levels)
    y, x = spans(boxes_on_level(boxes, roi_levels))
    y, x = (Span(span.start, jnp.maximum(span.size, 1)) for span in (y, x))
    return _mean_of_samples(table, y, x, roi_levels, output_size, sampling_ratio)


class _Samples(NamedTuple):
    """Which samples of a bin are taken along one axis."""

    count: Array  # (R,) int32, samples that the mean is over
    first: Array  # (R, P) int32, the first one that can lie on the map
    taken: Array  # (R,) int32, how many are taken from there


def _mean_of_samples(
    table: Array, y: Span, x: Span, roi_levels: RoiLevels, output_size: int, sampling_ratio: int
) -> Array:
    """Average `sampling_ratio` samples a bin and axis; 0 takes one a pixel. -> (R, P, P, C)."""
    if sampling_ratio > 0:
        samples_y = samples_x = _fixed_samples(y, output_size, sampling_ratio)
        steps = sampling_ratio**2
    else:
        samples_y = _adaptive_samples(y, roi_levels.height, output_size)
        samples_x = _adaptive_samples(x, roi_levels.width, output_size)
        steps = largest(samples_y.taken * samples_x.taken)
    constants = samples_y, samples_x, roi_levels
    total = stencil_sum(_sample_terms, table, (y, x), constants, steps)
    # In floating point: the counts of a huge box overflow as whole numbers.
    count_y, count_x = (samples.count.astype(total.dtype) for samples in (samples_y, samples_x))
    count = jnp.maximum(count_y * count_x, 1)
    return (total / count[:, None, None, None]).astype(table.dtype)


def _fixed_samples(span: Span, output_size: int, sampling_ratio: int) -> _Samples:
    count = jnp.full(span.size.shape, sampling_ratio, jnp.int32)
    return _Samples(count, jnp.zeros((*count.shape, output_size), jnp.int32), count)


def _adaptive_samples(span: Span, extent: Array, output_size: int) -> _Samples:
    """One sample for each pixel of a bin; those of a huge box that miss the map are passed over."""
    start, bin_size = jax.lax.stop_gradient((span.start, span.size / output_size))
    count = jnp.maximum(jnp.ceil(bin_size), 0)
    spacing = bin_size / jnp.maximum(count, 1)
    divisor = jnp.where(count > 0, spacing, 1)
    reach = (extent + 1).astype(start.dtype)
    # One sample more at either end, against rounding.
    taken = jnp.minimum(count, jnp.ceil(reach / divisor) + 2)
    bin_start = _bin_starts(start, bin_size, output_size)
    before = jnp.floor((-1 - bin_start) / divisor[:, None]) - 1
    first = jnp.clip(before, 0, (count - taken)[:, None])
    return _Samples(*(part.astype(jnp.int32) for part in (count, first, taken)))


def _bin_starts(start: Array, bin_size: Array, output_size: int) -> Array:
    """Where each bin of boxes (R,) begins, (R, P)."""
    bins = jnp.arange(output_size, dtype=start.dtype)
    return start[:, None] + bins[None] * bin_size[:, None]


def _sample_terms(
    step: Array, geometry: tuple[Span, Span], constants: tuple[_Samples, _Samples, RoiLevels]
) -> list[Term]:
    """Take the same sample of every bin."""
    (span_y, span_x), (samples_y, samples_x, roi_levels) = geometry, constants
    across = jnp.maximum(samples_x.taken, 1)
    y = _sample_at(span_y, samples_y, step // across, roi_levels.height)
    x = _sample_at(span_x, samples_x, step % across, roi_levels.width)
    return bilinear_terms(y, x, roi_levels)


def _sample_at(span: Span, samples: _Samples, number: Array, extent: Array) -> Array:
    """Place of a sample in each bin (R, P), by the border rule of torchvision's kernel.

    Up to one pixel beyond the outermost pixels' centres a sample is moved onto them; farther out it
    counts as 0.
    """
    output_size, dtype = samples.first.shape[1], span.start.dtype
    bin_size = span.size / output_size
    spacing = bin_size / jnp.maximum(samples.count, 1).astype(dtype)
    place = (samples.first + number[:, None]).astype(dtype)
    bins = _bin_starts(span.start, bin_size, output_size)
    at = bins + (place + 0.5) * spacing[:, None]
    extent = extent[:, None].astype(dtype)
    counts = (number < samples.taken)[:, None] & (at >= -1) & (at <= extent)
    return jnp.where(counts, jnp.clip(at, 0, extent - 1), OUTSIDE)

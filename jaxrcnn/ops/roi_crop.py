"""RoI ops that resize a crop of the features and max-pool it."""

import functools
import itertools
from collections.abc import Sequence

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
from jaxrcnn.ops.stencil import Term, stencil_sum

# Rounding must not push a sample off the map where the box ends with the image; map pixels.
EDGE = 1e-4


def crop_and_resize(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """TensorFlow's crop_and_resize to side P * sampling_ratio, then max-pool, as in TF's OD API.

    The crop's outer samples stand on the box's sides, where 0 is the centre of the map's first
    pixel and H_l * stride that of its last. A sample off the map is 0. Equal samples of a window
    share the gradient. See `RoiOp` for the arguments.

    Raises:
        ValueError: sampling_ratio is less than 1.
    """
    _check_sampling_ratio("crop_and_resize", sampling_ratio)
    table, roi_levels = flatten_levels(features, strides, levels)
    y, x = spans(boxes_on_level(boxes, roi_levels))
    grid = (
        _between_sides(y, roi_levels.height, output_size * sampling_ratio),
        _between_sides(x, roi_levels.width, output_size * sampling_ratio),
    )
    return _max_of_samples(table, grid, roi_levels, sampling_ratio)


def roi_warp(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    levels: Array,
    output_size: int,
    sampling_ratio: int,
) -> Array:
    """RoIWarp (MNC, arXiv 1512.04412, section 3.2): bilinear samples of a regular grid, max-pooled.

    The box is cut into (P * sampling_ratio)^2 cells, sampled at their centres; off the map the
    interpolant falls to 0 within one pixel. MNC's own code rounds the box to whole pixels first and
    takes as many samples as the bin is pixels wide, its edges included; without the rounding the
    gradient is that of what is computed. Equal samples of a window share it. See `RoiOp` for the
    arguments.

    Raises:
        ValueError: sampling_ratio is less than 1.
    """
    _check_sampling_ratio("roi_warp", sampling_ratio)
    table, roi_levels = flatten_levels(features, strides, levels)
    y, x = spans(boxes_on_level(boxes, roi_levels))
    cells = output_size * sampling_ratio
    centres = (jnp.arange(cells, dtype=y.start.dtype)[None] + 0.5) / cells
    grid = (
        y.start[:, None] + centres * y.size[:, None],
        x.start[:, None] + centres * x.size[:, None],
    )
    return _max_of_samples(table, grid, roi_levels, sampling_ratio)


def _check_sampling_ratio(op: str, sampling_ratio: int) -> None:
    if sampling_ratio < 1:
        raise ValueError(f"{op} needs a sampling_ratio of at least 1, not {sampling_ratio}")


def _between_sides(span: Span, extent: Array, samples: int) -> Array:
    """Samples from side to side, (R, samples): TF normalises by the size less one pixel."""
    fractions = jnp.linspace(0, 1, samples)[None] if samples > 1 else jnp.array([[0.5]])
    extent = extent[:, None].astype(span.start.dtype)
    sides = (span.start, span.start + span.size)
    start, end = (side[:, None] * (extent - 1) / extent for side in sides)
    at = start * (1 - fractions) + end * fractions
    on_map = (at > -EDGE) & (at < extent - 1 + EDGE)
    return jnp.where(on_map, jnp.clip(at, 0, extent - 1), OUTSIDE)


def _max_of_samples(
    table: Array, grid: tuple[Array, Array], roi_levels: RoiLevels, sampling_ratio: int
) -> Array:
    """Sample the grid, and keep the largest of each window of samples. -> (R, P, P, C)."""
    samples = stencil_sum(_grid_terms, table, grid, roi_levels, 1)
    # A maximum of strided slices: on a CPU far faster than a reduction over windows.
    places = itertools.product(range(sampling_ratio), repeat=2)
    slices = [samples[:, dy::sampling_ratio, dx::sampling_ratio] for dy, dx in places]
    return functools.reduce(jnp.maximum, slices).astype(table.dtype)


def _grid_terms(step: Array, grid: tuple[Array, Array], roi_levels: RoiLevels) -> list[Term]:
    del step  # the whole grid is one step
    y, x = grid
    return bilinear_terms(y, x, roi_levels)

"""3x3 convolutions by fewer multiplications (arXiv 1509.09308, F(2x2, 3x3)).

A tile of 2 x 2 results takes 16 products of numbers in place of 36. Every product is one of
matrices: all tiles of a batch, (N*H*W/4, C), by one of the 16 sums of taps, (C, D). Only sums and
halves stand before and behind it, so that the results are as exact as the convolution's own.

Sums along one axis are computed apart from those along the other. The passes over memory are then
the same ones several times, which XLA compiles once: in a third of the time.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxrcnn.runtime.xla import computed_apart
from jaxrcnn.types import Array

# Along one axis, the paper's matrices B^T, G and A^T: what the products are between, from four
# places of the map and from three taps, and what two results they make.
OF_MAP = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
OF_TAPS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
TO_RESULTS = ((1, 1, 1, 0), (0, 1, -1, -1))
FROM_RESULTS = tuple(zip(*TO_RESULTS, strict=True))

OF_ALL_TAPS = np.kron(OF_TAPS, OF_TAPS)
"""Along both axes, (16, 9)."""

Grid = list[list[Array]]
"""Arrays by the 4 rows and 4 columns of a tile."""


def convolve(x: Array, kernel: Array) -> Array:
    """Convolve with 3 x 3 taps, stride 1 and one cell of padding around.

    Args:
        x: (N, H, W, C) float.
        kernel: (3, 3, C, D) float.

    Returns:
        (N, H, W, D).
    """
    height, width = x.shape[1:3]
    products = [
        [jnp.matmul(cells, sums) for cells, sums in zip(*rows, strict=True)]
        for rows in zip(_sums_of_map(x), _sums_of_taps(kernel), strict=True)
    ]
    across = [computed_apart(_interleave(_combine(TO_RESULTS, row), axis=2)) for row in products]
    return _interleave(_combine(TO_RESULTS, across), axis=1)[:, :height, :width]


def map_gradient(kernel: Array, by_y: Array) -> Array:
    """Gradient of `convolve` in the map, from that in its result.

    Args:
        kernel: (3, 3, C, D) float.
        by_y: (N, H, W, D).

    Returns:
        (N, H, W, C).
    """
    # A convolution with the mirrored kernel, from D to C channels.
    return convolve(by_y, kernel[::-1, ::-1].swapaxes(2, 3))


def kernel_gradient(x: Array, by_y: Array) -> Array:
    """Gradient of `convolve` in the kernel: its steps transposed, from the last to the first.

    Args:
        x: (N, H, W, C) float.
        by_y: (N, H, W, D).

    Returns:
        (3, 3, C, D).
    """
    bottom, right = (size % 2 for size in x.shape[1:3])
    by_y = jnp.pad(by_y, ((0, 0), (0, bottom), (0, right), (0, 0)))
    by_rows = _combine(FROM_RESULTS, [by_y[:, start::2] for start in range(2)])
    by_products = [
        _combine(FROM_RESULTS, [row[:, :, start::2] for start in range(2)])
        for row in map(computed_apart, by_rows)
    ]
    # Columns before rows: XLA would find the sums of the pass forward, and keep four times the map.
    columns = _sums_of_map(x, across_first=True)
    by_sums = [
        _product_over_tiles(cells, y)
        for rows in zip(zip(*columns, strict=True), by_products, strict=True)
        for cells, y in zip(*rows, strict=True)
    ]
    by_taps = jnp.matmul(OF_ALL_TAPS.T.astype(x.dtype), jnp.stack(by_sums).reshape(16, -1))
    return by_taps.reshape(3, 3, *by_sums[0].shape)


def _product_over_tiles(x: Array, y: Array) -> Array:
    # Flat, so that XLA transposes neither.
    return jnp.einsum("tc,td->cd", x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))


def _sums_of_map(x: Array, across_first: bool = False) -> Grid:
    """What all tiles multiply, (N, H / 2, W / 2, C) each, halves rounded up.

    By row and column of the tile; by column and row where it sums across first.
    """
    # A tile reaches one cell further than its 2 x 2 results to each side.
    bottom, right = (1 + size % 2 for size in x.shape[1:3])
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (1, bottom, 0), (1, right, 0), (0, 0, 0)])
    outer, inner = (2, 1) if across_first else (1, 2)
    sums = [computed_apart(y) for y in _combine(OF_MAP, _places(x, outer))]
    return [_combine(OF_MAP, _places(y, inner)) for y in sums]


def _places(x: Array, axis: int) -> list[Array]:
    """Of every tile along an axis, the first of its four places, the second, ..."""
    last = x.shape[axis] - 4
    return [lax.slice_in_dim(x, start, start + last + 1, 2, axis) for start in range(4)]


def _sums_of_taps(kernel: Array) -> Grid:
    """The sums of taps, (C, D) each, from (3, 3, C, D)."""
    sums = jnp.matmul(OF_ALL_TAPS.astype(kernel.dtype), kernel.reshape(9, -1))
    return [list(computed_apart(row)) for row in sums.reshape(4, 4, *kernel.shape[2:])]


def _combine(signs: Sequence[Sequence[int]], arrays: Sequence[Array]) -> list[Array]:
    """A matrix of 1, 0 and -1 times a column of arrays."""
    return [
        functools.reduce(
            jnp.add,
            [x if sign > 0 else -x for sign, x in zip(row, arrays, strict=True) if sign],
        )
        for row in signs
    ]


def _interleave(halves: Sequence[Array], axis: int) -> Array:
    """The results of every tile side by side along an axis."""
    joined = jnp.stack(halves, axis + 1)
    shape = list(halves[0].shape)
    shape[axis] *= 2
    return joined.reshape(shape)

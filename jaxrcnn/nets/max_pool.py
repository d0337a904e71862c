"""Max-pooling as maxima of strided slices."""

import functools

import jax
import jax.numpy as jnp

from jaxrcnn.types import Array


def max_pool(x: Array, size: int, stride: int, padding: int = 0) -> Array:
    """Largest value of every window, (N, H, W, C) -> (N, H', W', C) with H' rounded down.

    Same values as ``flax.linen.max_pool`` with symmetric padding. The gradient is shared by equal
    maxima, where XLA's ``select_and_scatter`` gives it to the first and is slow on the CPU.
    """
    pad = (padding, padding, 0)
    x = jax.lax.pad(x, jnp.array(-jnp.inf, x.dtype), [(0, 0, 0), pad, pad, (0, 0, 0)])
    for axis in (1, 2):
        last = x.shape[axis] - size
        slices = (
            jax.lax.slice_in_dim(x, first, last + first + 1, stride, axis) for first in range(size)
        )
        x = functools.reduce(jnp.maximum, slices)
    return x

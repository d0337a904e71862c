"""Sums, boxes and losses are computed in float32 at least.

bfloat16 rises to float32; float64 stays, so that a gradient can be checked against finite
differences.
"""

import jax.numpy as jnp

from jaxrcnn.types import Array


def at_least_float32(x: Array) -> Array:
    """The array in float32, or in float64 if it is of that."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))

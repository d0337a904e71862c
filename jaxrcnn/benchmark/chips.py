"""What a device can do at most: published for known chips, measured for others."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.benchmark.timing import time_calls

SIDE = 2048
"""Of the matrices that are multiplied."""
COPIED = 2**28
"""Bytes of the array that is copied."""
TRIES = 7


class Peak(NamedTuple):
    """The most that a device can do in a second."""

    flops: float  # floating-point operations; one multiplication and addition are two
    bandwidth: float  # bytes from and to its memory
    source: str  # "published" or "measured"


# Dense peaks of bfloat16 (float16 for those that lack it) and of float32 as JAX computes it by
# default, in TF32 where the chip has that and in bfloat16 on a TPU; then bytes a second. From the
# makers' data sheets; a name that holds another stands before it.
CHIPS = {
    "H200": (989e12, 494e12, 4.8e12),
    "H100": (989e12, 494e12, 3.35e12),
    "A100-SXM4-80GB": (312e12, 156e12, 2.04e12),
    "A100 80GB": (312e12, 156e12, 1.94e12),
    "A100": (312e12, 156e12, 1.56e12),
    "L4": (121e12, 60e12, 0.3e12),
    "V100": (125e12, 15.7e12, 0.9e12),
    "T4": (65e12, 8.1e12, 0.32e12),
    "TPU v4": (275e12, 275e12, 1.23e12),
    "TPU v5 lite": (197e12, 197e12, 0.82e12),
    "TPU v5": (459e12, 459e12, 2.77e12),
    "TPU v6 lite": (918e12, 918e12, 1.64e12),
}


def peak_of(device: Any, dtype: str) -> Peak:
    """The peak of a device for arrays of a dtype, "float32" or "bfloat16"."""
    for name, (half, single, bandwidth) in CHIPS.items():
        if re.search(rf"\b{name}\b", device.device_kind):
            return Peak(half if dtype == "bfloat16" else single, bandwidth, "published")
    return measure_peak(device, dtype)


def measure_peak(device: Any, dtype: str) -> Peak:
    """The speed of a matrix product of 2048 x 2048, and of a copy of 256 MiB; the best of seven."""
    # Both have results that they can be given again; a copy to fresh memory would time its mapping.
    product = _fastest(jax.jit(lambda x: x @ x), jnp.eye(SIDE, dtype=dtype), device)
    copy = _fastest(jax.jit(jnp.negative, donate_argnums=0), jnp.ones(COPIED // 4), device)
    return Peak(2 * SIDE**3 / product, 2 * COPIED / copy, "measured")


def _fastest(call: Callable[[jax.Array], jax.Array], x: jax.Array, device: Any) -> float:
    x = jax.device_put(x, device)

    def again() -> jax.Array:
        nonlocal x
        x = call(x)
        return x

    time_calls(again, 1)  # compiles
    return min(time_calls(again, TRIES))

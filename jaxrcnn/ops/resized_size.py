"""Size of an image after resizing, inside a traced program and on any device.

Peers compute it in float64, which many devices lack. Fractions of whole numbers give the same size
but where the exact result lies on the edge of rounding, and float64 falls just below it.
"""

import functools
import math
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxrcnn.types import Array

Method = Literal["pillow", "torchvision"]

LARGEST = 4096
"""Largest side of an image, in pixels: products of sides have to fit into 32 bits."""

SHORT, LONG = 0, 1
"""Which side decides: the short one reaches its length, or the long one its limit."""


def resized_size(size: Array, short_side: int, long_side: int, method: Method) -> Array:
    """Size that brings the short side to `short_side`, the long one to `long_side` at most.

    Args:
        size: (2,) int32, height and width of an image, at most `LARGEST` each.
        short_side, long_side: pixels.
        method: "torchvision" rounds down, "pillow" to the nearest, as Detectron2.

    Returns:
        (2,) int32, at least 1: to the pixel that of `jaxrcnn.data.transforms.resized_size`.
    """
    shorter, longer = jnp.min(size), jnp.max(size)
    decides = jnp.where(short_side * longer <= long_side * shorter, SHORT, LONG)
    wanted = jnp.where(decides == SHORT, short_side, long_side)
    side = jnp.where(decides == SHORT, shorter, longer)
    if method == "torchvision":
        sides = size * wanted // side
    else:
        sides = (2 * size * wanted + side) // (2 * side)
    fallen = jnp.asarray(_fallen(short_side, long_side, method))
    keys = _key(decides, size, side)
    sides -= fallen[jnp.searchsorted(fallen, keys)] == keys
    return jnp.maximum(sides, 1).astype(jnp.int32)


def _key(decides: Any, side: Any, deciding_side: Any) -> Any:
    """One int32 for the three, in arrays of jax or numpy."""
    return (decides * 2 * LARGEST + side) * 2 * LARGEST + deciding_side


@functools.cache
def _fallen(short_side: int, long_side: int, method: Method) -> np.ndarray:
    """Keys of the sides that float64 makes one pixel smaller than the fraction does, ascending."""
    keys = [np.array([np.iinfo(np.int32).max])]  # so that every other has one that is not less
    for deciding_side in range(1, LARGEST + 1):
        for decides, wanted in ((SHORT, short_side), (LONG, long_side)):
            # Only where the fraction is whole, or a half, does its last bit matter.
            parts = wanted if method == "torchvision" else 2 * wanted
            step = deciding_side // math.gcd(deciding_side, parts)
            side = np.arange(step, LARGEST + 1, step)
            side = side[side >= deciding_side if decides == SHORT else side <= deciding_side]
            if method == "torchvision":
                exact = side * wanted // deciding_side
                scaled = side * (wanted / deciding_side)
            else:
                exact = (2 * side * wanted + deciding_side) // (2 * deciding_side)
                scaled = _scaled_by_detectron2(side, deciding_side, decides, short_side, long_side)
                scaled = scaled + 0.5
            fell = np.floor(scaled) < exact
            keys.append(_key(decides, side[fell], deciding_side))
    return np.sort(np.concatenate(keys)).astype(np.int32)


def _scaled_by_detectron2(
    side: np.ndarray, deciding_side: int, decides: int, short_side: int, long_side: int
) -> np.ndarray:
    """The sides in float64, before they are rounded: scaled once, or by two factors."""
    if decides == SHORT:
        return np.where(side == deciding_side, short_side, side * (short_side / deciding_side))
    longer = deciding_side * (short_side / side)
    shorter = short_side * (long_side / longer)
    return np.where(side == deciding_side, long_side, shorter)

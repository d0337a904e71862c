"""Resizing of one image inside a traced program, as `jaxrcnn.data.transforms` does outside of it.

Sizes are traced: images of many sizes, padded to one shape, are one program.
"""

import jax
import jax.numpy as jnp

from jaxrcnn.ops.resized_size import Method
from jaxrcnn.types import Array


def resize(
    image: Array, size: Array, new_size: Array, canvas: tuple[int, int], method: Method
) -> Array:
    """Resize an image bilinearly, from the corner of one padded array to that of another.

    Args:
        image: (H, W, 3) uint8 or float32, 0..255; anything beyond `size`.
        size: (2,) int32, height and width of the image in it.
        new_size: (2,) int32, wanted height and width.
        canvas: height and width of the result.
        method: "pillow" is antialiased where the image shrinks, and rounds to whole values after
            each axis, x first, as Pillow does where both sides change alike; "torchvision" weighs
            the four nearest pixels.

    Returns:
        (height, width, 3) float32 of the canvas, 0..255; 0 beyond `new_size`.
    """
    inside = jnp.arange(image.shape[0])[:, None] < size[0]  # (H, 1)
    inside &= jnp.arange(image.shape[1]) < size[1]  # (H, W)
    pixels = jnp.where(inside[..., None], image.astype(jnp.float32), 0)
    shares = [
        _shares(size[axis], new_size[axis], image.shape[axis], canvas[axis], method)
        for axis in (0, 1)
    ]
    pixels = _rounded(_mix("xw,hwc->hxc", shares[1], pixels), method)
    return _rounded(_mix("yh,hxc->yxc", shares[0], pixels), method)


def _shares(size: Array, new_size: Array, length: int, canvas: int, method: Method) -> Array:
    """How much of each old pixel is in each new one, along one axis: (canvas, length)."""
    scale = size.astype(jnp.float32) / new_size
    reach = jnp.maximum(scale, 1) if method == "pillow" else 1.0
    centres = (jnp.arange(canvas, dtype=jnp.float32) + 0.5) * scale - 0.5
    old = jnp.arange(length)
    shares = jnp.maximum(1 - jnp.abs(centres[:, None] - old) / reach, 0)
    real = (jnp.arange(canvas)[:, None] < new_size) & (old < size)
    shares = jnp.where(real, shares, 0)
    total = shares.sum(1, keepdims=True)
    return shares / jnp.where(total > 0, total, 1)


def _mix(axes: str, shares: Array, pixels: Array) -> Array:
    return jnp.einsum(axes, shares, pixels, precision=jax.lax.Precision.HIGHEST)


def _rounded(pixels: Array, method: Method) -> Array:
    """Whole values; half way between two, but for the error of float32, goes up as in Pillow."""
    return jnp.floor(pixels + 0.5 + 1e-4) if method == "pillow" else pixels

"""Identities with a gradient of their own: values pass unchanged, gradients are scaled or clipped.

They differentiate twice, in forward mode over reverse mode (`jax.jvp` of `jax.grad`).
"""

import jax
import jax.numpy as jnp

from jaxrcnn.types import Array


@jax.custom_vjp
def scale_gradient(x: Array, factor: Array | float) -> Array:
    """Return x; its gradient is multiplied by factor, and is 0 where that is 0, even if infinite.

    Args:
        x: (...) float.
        factor: traced or not, of a shape that broadcasts to that of x; no gradient reaches it.
    """
    del factor
    return x


def _scale_forward(x: Array, factor: Array | float) -> tuple[Array, Array | float]:
    return x, factor


def _scale_backward(factor: Array | float, gradient: Array) -> tuple[Array, Array]:
    factor = jnp.asarray(factor, gradient.dtype)
    scaled = jnp.where(factor == 0, 0, gradient * factor)
    return scaled, jnp.zeros_like(factor)


scale_gradient.defvjp(_scale_forward, _scale_backward)


@jax.custom_vjp
def clip_gradient(x: Array, limit: float) -> Array:
    """Return x, (...) float; every entry of its gradient is cut to ±limit."""
    del limit
    return x


def _clip_backward(limit: float, gradient: Array) -> tuple[Array, None]:
    return jnp.clip(gradient, -limit, limit), None


clip_gradient.defvjp(lambda x, limit: (x, limit), _clip_backward)


@jax.custom_vjp
def clip_gradient_norm(x: Array, limit: float) -> Array:
    """Return x, (..., n) float; each row of its gradient is shortened to the length limit."""
    del limit
    return x


def _clip_norm_backward(limit: float, gradient: Array) -> tuple[Array, None]:
    square = jnp.sum(jnp.square(gradient), axis=-1, keepdims=True)
    too_long = square > limit**2
    # The root of 0 has no derivative, so that it is taken of what is too long alone.
    length = jnp.sqrt(jnp.where(too_long, square, 1))
    return jnp.where(too_long, gradient * (limit / length), gradient), None


clip_gradient_norm.defvjp(lambda x, limit: (x, limit), _clip_norm_backward)

"""Normalisation layers, all called as ``layer(x, train)``."""

import math
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrcnn.nets.initializers import ONES, ZEROS
from jaxrcnn.types import Array, at_least_float32

NormKind = Literal["frozen", "group", "batch", "none"]

EPSILON = 1e-5
GROUPS = 32
MOMENTUM = 0.9


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with statistics, scale and bias that no gradient and no update reaches.

    Detectron2's and torchvision's FrozenBatchNorm2d, for pretrained weights. Its arrays live in the
    collection "constants", all four of them and not folded into two, so that weights can be given
    back as they came.
    """

    dtype: str = "float32"
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (..., C) to (..., C) in `dtype`; `train` changes nothing."""
        shape = (x.shape[-1],)

        def constant(name: str, init: Callable[..., Array]) -> Array:
            return jax.lax.stop_gradient(
                self.variable("constants", name, init, shape, jnp.float32).value
            )

        scale, bias = constant("scale", ONES), constant("bias", ZEROS)
        mean, variance = constant("mean", ZEROS), constant("var", ONES)
        return _affine(x, *_standardise(mean, variance, scale, bias, self.epsilon), self.dtype)


class GroupNorm(nn.Module):
    """Group normalisation (arXiv 1803.08494), statistics of one image in float32.

    There are 32 groups, or gcd(32, C) where 32 does not divide the channels.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (N, H, W, C) to (N, H, W, C) in `dtype`; `train` changes nothing."""
        channels = x.shape[-1]
        groups = math.gcd(GROUPS, channels)
        scale = self.param("scale", ONES, (channels,), jnp.float32)
        bias = self.param("bias", ZEROS, (channels,), jnp.float32)
        # Channels first and groups after: (N, C) is small, and the image is read once.
        mean, square = (_over_groups(m, groups) for m in _moments(x, axes=(1, 2)))
        variance = _variance(mean, square)
        factor, offset = _standardise(mean, variance, scale[None], bias[None], EPSILON)
        return _affine(x, factor[:, None, None], offset[:, None, None], self.dtype)


class BatchNorm(nn.Module):
    """Batch normalisation (arXiv 1502.03167) over the whole batch, statistics in float32.

    Under ``jax.jit`` with a sharded batch the means are over all devices. Padding around an image
    counts, as it does in the peers. Running statistics live in the collection "batch_stats"
    (momentum 0.9, biased variance). `frozen` keeps to them in training as well.
    """

    dtype: str = "float32"
    frozen: bool = False
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (N, H, W, C) to (N, H, W, C) in `dtype`; training updates "batch_stats"."""
        shape = (x.shape[-1],)
        scale = self.param("scale", ONES, shape, jnp.float32)
        bias = self.param("bias", ZEROS, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", ZEROS, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", ONES, shape, jnp.float32)
        if self.frozen or not train:
            mean, variance = running_mean.value, running_var.value
        else:
            mean, square = _moments(x, axes=(0, 1, 2))
            variance = _variance(mean, square)
            if not self.is_initializing():
                running_mean.value = MOMENTUM * running_mean.value + (1 - MOMENTUM) * mean
                running_var.value = MOMENTUM * running_var.value + (1 - MOMENTUM) * variance
        factor, offset = _standardise(mean, variance, scale, bias, self.epsilon)
        return _affine(x, factor, offset, self.dtype)


class Identity(nn.Module):
    """No normalisation."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Return `x`."""
        return x


def build_norm(
    kind: NormKind, name: str, dtype: str, frozen: bool = False, epsilon: float = EPSILON
) -> nn.Module:
    """Build the norm of a kind.

    A `frozen` batch norm never updates its statistics; `epsilon` is added to a batch norm's
    variance, of one that is trained or not.
    """
    match kind:
        case "frozen":
            return FrozenBatchNorm(dtype, epsilon, name=name)
        case "group":
            return GroupNorm(dtype, name=name)
        case "batch":
            return BatchNorm(dtype, frozen, epsilon, name=name)
        case "none":
            return Identity(name=name)


def _moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Means of ``x`` and of ``x ** 2`` in float32."""
    x = at_least_float32(x)
    return jnp.mean(x, axes), jnp.mean(jnp.square(x), axes)


def _over_groups(mean: Array, groups: int) -> Array:
    """Replace the channels' means (N, C) by their groups' means, (N, C)."""
    batch, channels = mean.shape
    grouped = jnp.mean(mean.reshape(batch, groups, -1), axis=-1)  # (N, C) -> (N, G, C/G)
    return jnp.repeat(grouped, channels // groups, axis=-1)


def _variance(mean: Array, square: Array) -> Array:
    return jnp.maximum(square - jnp.square(mean), 0.0)  # rounding may go below zero


def _standardise(
    mean: Array, variance: Array, scale: Array, bias: Array, epsilon: float
) -> tuple[Array, Array]:
    """Factor and offset that normalise by these statistics, then scale and shift."""
    factor = scale * jax.lax.rsqrt(variance + epsilon)
    return factor, bias - mean * factor


def _affine(x: Array, factor: Array, offset: Array, dtype: str) -> Array:
    factor, offset = (a.reshape((1,) * (x.ndim - a.ndim) + a.shape) for a in (factor, offset))
    return (at_least_float32(x) * factor + offset).astype(dtype)

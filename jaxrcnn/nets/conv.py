"""Convolutions as the peers build them, and their initialisers."""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.types import Array

# Caffe2's MSRAFill: normal, variance 2 / fan_out (arXiv 1502.01852).
HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")

# Caffe2's XavierFill, in Detectron2's and torchvision's necks and heads: uniform, 1 / fan_in.
XAVIER_UNIFORM = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


def build_conv(
    features: int,
    size: int,
    name: str,
    dtype: str,
    init: nn.initializers.Initializer,
    *,
    bias: bool = True,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv:
    """Build a convolution of `size` x `size` taps, to be called in a compact module.

    The padding is symmetric and keeps an odd `size` centred, as in torch: "SAME" would differ at
    stride 2.
    """
    own = _pointwise if size == 1 else _spatial
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=dilation * (size // 2),
        kernel_dilation=dilation,
        feature_group_count=groups,
        use_bias=bias,
        dtype=dtype,
        kernel_init=init,
        conv_general_dilated=own if groups == 1 else None,
        name=name,
    )


def _pointwise(
    x: Array, kernel: Array, strides: tuple[int, int], *_: Any, precision: Any, **__: Any
) -> Array:
    """A 1x1 convolution as one matrix product.

    XLA's CPU backend is up to five times slower at the gradient of the convolution's kernel.
    """
    x = x[:, :: strides[0], :: strides[1]]
    rows = x.reshape(-1, x.shape[-1])  # (N, H, W, C) -> (N*H*W, C)
    y = jnp.matmul(rows, kernel[0, 0], precision=precision)
    return y.reshape(*x.shape[:-1], -1)  # (N*H*W, D) -> (N, H, W, D)


class _Window(NamedTuple):
    """How a convolution moves; padding before and after, along each axis."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, int]


def _spatial(
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    padding: Any,
    *,
    rhs_dilation: tuple[int, int],
    **_: Any,
) -> Array:
    """A convolution whose gradients are quick on the CPU, wherever they stand in a program."""
    padding = tuple((int(before), int(after)) for before, after in padding)
    return _convolve(x, kernel, _Window(strides, padding, rhs_dilation))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, window: _Window) -> Array:
    """Convolve (N, H, W, C) with (h, w, C, D): (N, H', W', D)."""
    return _plain(x, kernel, window)


def _plain(
    x: Array,
    kernel: Array,
    window: _Window,
    layouts: tuple[str, str, str] = ("NHWC", "HWIO", "NHWC"),
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=layouts,
    )


def _gradients(window: _Window, saved: tuple[Array, Array], by_y: Array) -> tuple[Array, Array]:
    def plainly(x: Array, kernel: Array, by_y: Array) -> tuple[Array, Array]:
        return jax.vjp(lambda x, kernel: _plain(x, kernel, window), x, kernel)[1](by_y)

    in_usual_layout = functools.partial(_gradients_in_usual_layout, window)
    return lax.platform_dependent(*saved, by_y, cpu=in_usual_layout, default=plainly)


def _gradients_in_usual_layout(
    window: _Window, x: Array, kernel: Array, by_y: Array
) -> tuple[Array, Array]:
    """The gradients as convolutions in the layouts of `_plain`, by transposed operands.

    XLA's CPU backend is slow at any other layout. It changes them itself, but at the top of a
    program only: in a loop or a branch the gradients would cost ten times as much. The layouts
    below are those whose transposed convolutions have the usual ones.
    """
    swapped = kernel.swapaxes(2, 3)  # (h, w, C, D) -> (h, w, D, C)
    _, to_x = jax.vjp(lambda x: _plain(x, swapped, window, ("NHWC", "HWOI", "NHWC")), x)
    turned = x.transpose(3, 1, 2, 0)  # (N, H, W, C) -> (C, H, W, N)
    _, to_kernel = jax.vjp(
        lambda kernel: _plain(turned, kernel, window, ("CHWN", "IHWO", "HWNC")),
        kernel.transpose(2, 0, 1, 3),  # (h, w, C, D) -> (C, h, w, D)
    )
    (by_x,) = to_x(by_y)
    (by_kernel,) = to_kernel(by_y.transpose(1, 2, 0, 3))  # (N, H', W', D) -> (H', W', N, D)
    return by_x, by_kernel.transpose(1, 2, 0, 3)  # (C, h, w, D) -> (h, w, C, D)


_convolve.defvjp(lambda x, kernel, window: (_plain(x, kernel, window), (x, kernel)), _gradients)

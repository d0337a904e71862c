"""Convolutions as the peers build them, and their initialisers."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

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
    pointwise = size == 1 and groups == 1
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
        conv_general_dilated=_pointwise if pointwise else None,
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

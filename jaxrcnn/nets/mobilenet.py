"""MobileNetV3-Large (arXiv 1905.02244, table 1) as a feature extractor, without its classifier."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrcnn.config import BackboneConfig
from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL
from jaxrcnn.nets.relu import relu
from jaxrcnn.nets.resnet import ConvNorm
from jaxrcnn.types import Array, at_least_float32


class Layer(NamedTuple):
    """A row of the paper's table: one inverted residual block."""

    size: int  # of the depthwise convolution
    expanded: int  # channels in the middle
    channels: int
    squeeze: int  # channels of the squeeze and excitation, 0 where there is none
    hard_swish: bool  # or a ReLU
    stride: int


STEM_CHANNELS = 16
LAYERS = (
    Layer(3, 16, 16, 0, False, 1),
    Layer(3, 64, 24, 0, False, 2),
    Layer(3, 72, 24, 0, False, 1),
    Layer(5, 72, 40, 24, False, 2),
    Layer(5, 120, 40, 32, False, 1),
    Layer(5, 120, 40, 32, False, 1),
    Layer(3, 240, 80, 0, True, 2),
    Layer(3, 200, 80, 0, True, 1),
    Layer(3, 184, 80, 0, True, 1),
    Layer(3, 184, 80, 0, True, 1),
    Layer(3, 480, 112, 120, True, 1),
    Layer(3, 672, 112, 168, True, 1),
    Layer(5, 672, 160, 168, True, 2),
    Layer(5, 960, 160, 240, True, 1),
    Layer(5, 960, 160, 240, True, 1),
)
LAST_CHANNELS = 960
FIRST_LAYER_OF_STAGE = (0, 2, 4, 7, 13, 16)
"""Layers, the stem being number 0, with which torchvision lets a stage begin that may be frozen."""
FIRST_OUTPUT = 13
"""Layer whose map torchvision hands to the FPN beside that of the last convolution."""


class InvertedResidual(nn.Module):
    """Widen by 1x1, convolve each channel, weigh the channels, narrow by 1x1; and a shortcut."""

    conv_norm: ConvNorm
    layer: Layer

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (N, H, W, C) to (N, H / stride, W / stride, channels)."""
        layer, conv_norm = self.layer, self.conv_norm
        activate = nn.hard_swish if layer.hard_swish else relu
        y = x
        if layer.expanded != x.shape[-1]:
            names = ("expand_conv", "expand_bn")
            y = activate(conv_norm(y, train, names, layer.expanded, 1))
        y = conv_norm(
            y,
            train,
            ("depthwise_conv", "depthwise_bn"),
            layer.expanded,
            layer.size,
            stride=layer.stride,
            groups=layer.expanded,
        )
        y = activate(y)
        if layer.squeeze:
            y = y * self._excitation(y)
        y = conv_norm(y, train, ("project_conv", "project_bn"), layer.channels, 1)
        return x + y if x.shape == y.shape else y

    def _excitation(self, x: Array) -> Array:
        """Weights of the channels, (N, H, W, C) -> (N, 1, 1, C), from their means."""
        dtype = self.conv_norm.dtype
        y = jnp.mean(at_least_float32(x), axis=(1, 2), keepdims=True).astype(dtype)
        y = relu(build_conv(self.layer.squeeze, 1, "squeeze", dtype, HE_NORMAL)(y))
        return nn.hard_sigmoid(build_conv(x.shape[-1], 1, "excite", dtype, HE_NORMAL)(y))


class MobileNetV3(nn.Module):
    """The stem, the inverted residual blocks ``layer_1`` to ``layer_15``, and the last 1x1."""

    config: BackboneConfig
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        """Map (N, H, W, 3) to two maps of stride 32, with 160 and 960 channels."""
        config = self.config
        frozen_layers = FIRST_LAYER_OF_STAGE[config.frozen_stages]

        def conv_norm(number: int) -> ConvNorm:
            frozen = number < frozen_layers
            return ConvNorm(config.norm, frozen, self.dtype, config.norm_epsilon)

        def stop_if_frozen(x: Array, number: int) -> Array:
            return jax.lax.stop_gradient(x) if number < frozen_layers else x

        x = x.astype(self.dtype)
        x = conv_norm(0)(x, train, ("stem_conv", "stem_bn"), STEM_CHANNELS, 3, stride=2)
        x = stop_if_frozen(nn.hard_swish(x), 0)
        fine = x
        for number, layer in enumerate(LAYERS, start=1):
            x = InvertedResidual(conv_norm(number), layer, name=f"layer_{number}")(x, train)
            x = stop_if_frozen(x, number)
            fine = x if number == FIRST_OUTPUT else fine
        last = conv_norm(len(LAYERS) + 1)
        x = last(x, train, ("last_conv", "last_bn"), LAST_CHANNELS, 1)
        return fine, nn.hard_swish(x)


def frozen_modules(frozen_stages: int) -> tuple[str, ...]:
    """Names of the modules in the first stages, which are torchvision's."""
    layers = range(1, FIRST_LAYER_OF_STAGE[frozen_stages])
    stem = ("stem_conv", "stem_bn") if frozen_stages >= 1 else ()
    return stem + tuple(f"layer_{number}" for number in layers)

"""ResNet (arXiv 1512.03385) and ResNeXt (arXiv 1611.05431) feature extractors.

Modules are named as in torchvision's state dict, with underscores for the dots between a stage and
its block: ``conv1``, ``bn1``, ``layer1_0/conv1``, ``layer1_0/downsample_0``. A convolution has a
bias only where no norm follows.
"""

from typing import NamedTuple

import flax.linen as nn
import jax

from jaxrcnn.config import BackboneConfig
from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL
from jaxrcnn.nets.max_pool import max_pool
from jaxrcnn.nets.norm import EPSILON, NormKind, build_norm
from jaxrcnn.nets.relu import relu
from jaxrcnn.types import Array


class Architecture(NamedTuple):
    """What tells one member of the family from another."""

    blocks: tuple[int, int, int, int]  # residual blocks of res2..res5
    bottleneck: bool = True
    groups: int = 1  # of the bottleneck's 3x3 convolution
    group_width: int = 64  # channels of one group in res2, where the stem has 64


ARCHITECTURES = {
    "resnet18": Architecture((2, 2, 2, 2), bottleneck=False),
    "resnet34": Architecture((3, 4, 6, 3), bottleneck=False),
    "resnet50": Architecture((3, 4, 6, 3)),
    "resnet101": Architecture((3, 4, 23, 3)),
    "resnet152": Architecture((3, 8, 36, 3)),
    "resnext101_32x8d": Architecture((3, 4, 23, 3), groups=32, group_width=8),
}


class ConvNorm(NamedTuple):
    """The choices that all convolutions of a block share."""

    norm: NormKind
    frozen: bool
    dtype: str
    epsilon: float = EPSILON

    def __call__(
        self,
        x: Array,
        train: bool,
        names: tuple[str, str],
        features: int,
        size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> Array:
        """Convolve and normalise, inside a compact module; `names` are of the two layers."""
        conv = build_conv(
            features,
            size,
            names[0],
            self.dtype,
            HE_NORMAL,
            bias=self.norm == "none",
            stride=stride,
            dilation=dilation,
            groups=groups,
        )
        norm = build_norm(self.norm, names[1], self.dtype, self.frozen, self.epsilon)
        return norm(conv(x), train)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (arXiv 1512.03385, figure 5, left)."""

    conv_norm: ConvNorm
    channels: int
    stride: int
    dilation: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (N, H, W, C) to (N, H / stride, W / stride, channels)."""
        y = self.conv_norm(x, train, ("conv1", "bn1"), self.channels, 3, self.stride, self.dilation)
        y = self.conv_norm(
            relu(y), train, ("conv2", "bn2"), self.channels, 3, dilation=self.dilation
        )
        return relu(y + _shortcut(self.conv_norm, x, train, self.channels, self.stride))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (arXiv 1512.03385, figure 5, right)."""

    conv_norm: ConvNorm
    channels: int
    inner_channels: int
    groups: int
    stride: int
    dilation: int
    stride_in_1x1: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Map (N, H, W, C) to (N, H / stride, W / stride, channels)."""
        first, second = (self.stride, 1) if self.stride_in_1x1 else (1, self.stride)
        inner = self.inner_channels
        y = self.conv_norm(x, train, ("conv1", "bn1"), inner, 1, first)
        y = self.conv_norm(
            relu(y), train, ("conv2", "bn2"), inner, 3, second, self.dilation, self.groups
        )
        y = self.conv_norm(relu(y), train, ("conv3", "bn3"), self.channels, 1)
        return relu(y + _shortcut(self.conv_norm, x, train, self.channels, self.stride))


class ResNet(nn.Module):
    """The stem and the residual stages up to the last one asked for."""

    config: BackboneConfig
    outputs: tuple[int, ...] = (2, 3, 4, 5)
    """Stages whose maps are returned, ascending: 2 is res2 of stride 4, 5 is res5 of stride 32."""
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        """Map (N, H, W, 3) to the maps of `outputs`, (N, H / stride, W / stride, C)."""
        config = self.config
        frozen = config.frozen_stages >= 1
        conv_norm = ConvNorm(config.norm, frozen, self.dtype, config.norm_epsilon)
        x = conv_norm(x.astype(self.dtype), train, ("conv1", "bn1"), config.width, 7, stride=2)
        x = max_pool(relu(x), size=3, stride=2, padding=1)
        x = jax.lax.stop_gradient(x) if frozen else x
        maps = []
        for stage in range(2, max(self.outputs) + 1):
            x = residual_stage(x, train, config, stage, self.dtype)
            if stage in self.outputs:
                maps.append(x)
        return tuple(maps)


def residual_stage(x: Array, train: bool, config: BackboneConfig, stage: int, dtype: str) -> Array:
    """Run res2, res3, res4 or res5, inside a compact module.

    A frozen stage's map stops the gradient, so that no backward pass of the stage is compiled.
    """
    architecture = ARCHITECTURES[config.name]
    frozen = config.frozen_stages >= stage
    conv_norm = ConvNorm(config.norm, frozen, dtype, config.norm_epsilon)
    planes = config.width * 2 ** (stage - 2)
    dilated = stage == 5 and config.dilated_res5
    dilation = 2 if dilated else 1
    for index in range(architecture.blocks[stage - 2]):
        stride = 1 if stage == 2 or dilated or index > 0 else 2
        name = f"layer{stage - 1}_{index}"
        if architecture.bottleneck:
            groups = architecture.groups
            block = Bottleneck(
                conv_norm,
                channels=4 * planes,
                inner_channels=planes * architecture.group_width // 64 * groups,
                groups=groups,
                stride=stride,
                dilation=dilation,
                stride_in_1x1=config.stride_in_1x1,
                name=name,
            )
        else:
            block = BasicBlock(conv_norm, planes, stride, dilation, name=name)
        x = block(x, train)
    return jax.lax.stop_gradient(x) if frozen else x


def frozen_modules(name: str, frozen_stages: int) -> tuple[str, ...]:
    """Names of the modules in a ResNet's first stages: 1 is the stem, 2 adds res2, up to 5."""
    stem = ("conv1", "bn1") if frozen_stages >= 1 else ()
    blocks = ARCHITECTURES[name].blocks[: max(frozen_stages - 1, 0)]
    stages = tuple(
        f"layer{layer}_{index}"
        for layer, count in enumerate(blocks, start=1)
        for index in range(count)
    )
    return stem + stages


def _shortcut(conv_norm: ConvNorm, x: Array, train: bool, channels: int, stride: int) -> Array:
    """Project the block's input where its shape differs from the output's."""
    if stride == 1 and x.shape[-1] == channels:
        return x
    return conv_norm(x, train, ("downsample_0", "downsample_1"), channels, 1, stride)

"""Feature pyramid network (arXiv 1612.03144)."""

import flax.linen as nn
import jax.numpy as jnp

from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import XAVIER_UNIFORM
from jaxrcnn.nets.norm import NormKind, build_norm
from jaxrcnn.types import Array


class FPN(nn.Module):
    """Lateral 1x1 convolutions, a top-down path, 3x3 convolutions, and a level above them.

    A convolution has a bias only where no norm follows.
    """

    channels: int = 256
    norm: NormKind = "none"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, maps: tuple[Array, ...], train: bool = False) -> tuple[Array, ...]:
        """Map res2..res5, fine to coarse, to P2..P6 of (N, H_l, W_l, channels)."""
        inner = [
            self._conv(x, train, f"inner_{level}", f"inner_bn_{level}", size=1)
            for level, x in enumerate(maps)
        ]
        for level in reversed(range(len(maps) - 1)):
            inner[level] += upsample(inner[level + 1], *inner[level].shape[1:3])
        levels = [
            self._conv(x, train, f"layer_{level}", f"layer_bn_{level}", size=3)
            for level, x in enumerate(inner)
        ]
        # P6 serves the RPN only: a max-pool of one cell with stride 2.
        return (*levels, levels[-1][:, ::2, ::2])

    def _conv(self, x: Array, train: bool, name: str, norm_name: str, size: int) -> Array:
        bias = self.norm == "none"
        conv = build_conv(self.channels, size, name, self.dtype, XAVIER_UNIFORM, bias=bias)
        return build_norm(self.norm, norm_name, self.dtype)(conv(x), train)


def upsample(x: Array, height: int, width: int) -> Array:
    """Nearest neighbour to a finer level's size: twice that of `x`, or one less where it is odd.

    Cropping the doubled map is then the same as torch's ``interpolate`` to that size. A map of the
    same stride is as large already. Raises ValueError for another size: the maps would not be of
    neighbouring strides.
    """
    batch, rows, columns, channels = x.shape
    if (rows, columns) == (height, width):
        return x
    if (rows, columns) != (-(-height // 2), -(-width // 2)):
        raise ValueError(f"a map of {rows} x {columns} is not half of one of {height} x {width}")
    doubled = jnp.broadcast_to(x[:, :, None, :, None], (batch, rows, 2, columns, 2, channels))
    # (N, H, 2, W, 2, C) -> (N, 2H, 2W, C)
    doubled = doubled.reshape(batch, 2 * rows, 2 * columns, channels)
    return doubled[:, :height, :width]

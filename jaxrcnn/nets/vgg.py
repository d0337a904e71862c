"""VGG16 (arXiv 1409.1556) up to conv5_3, the backbone of the Faster R-CNN paper."""

import flax.linen as nn
import jax

from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL
from jaxrcnn.nets.max_pool import max_pool
from jaxrcnn.nets.relu import relu
from jaxrcnn.types import Array

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Five blocks of 3x3 convolutions with a pool between them: stride 16."""

    frozen_stages: int = 2
    """First blocks that are not trained; py-faster-rcnn freezes conv1_x and conv2_x."""
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array]:
        """Map (N, H, W, 3) to one map, (N, H // 16, W // 16, 512)."""
        x = x.astype(self.dtype)
        for block, widths in enumerate(BLOCKS, start=1):
            if block > 1:
                x = max_pool(x, size=2, stride=2)
            for index, width in enumerate(widths, start=1):
                conv = build_conv(width, 3, f"conv{block}_{index}", self.dtype, HE_NORMAL)
                x = relu(conv(x))
            x = jax.lax.stop_gradient(x) if block <= self.frozen_stages else x
        return (x,)


def frozen_modules(frozen_stages: int) -> tuple[str, ...]:
    """Names of the convolutions in the first blocks."""
    return tuple(
        f"conv{block}_{index}"
        for block, widths in enumerate(BLOCKS[:frozen_stages], start=1)
        for index in range(1, len(widths) + 1)
    )

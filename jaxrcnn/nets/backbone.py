"""The backbone: a feature extractor and its neck, built from the config."""

import flax.linen as nn

from jaxrcnn.config import BackboneConfig, NeckConfig
from jaxrcnn.nets import mobilenet, resnet, vgg
from jaxrcnn.nets.fpn import FPN
from jaxrcnn.types import Array

MOBILENET = "mobilenet_v3_large"
STAGES = {"fpn": (2, 3, 4, 5), "c4": (4,), "c5": (5,)}


class Backbone(nn.Module):
    """Normalised pixels to feature maps. The extractor is named ``body``, the pyramid ``fpn``."""

    config: BackboneConfig
    neck: NeckConfig
    dtype: str = "float32"

    def setup(self) -> None:
        """Make the parts."""
        if self.config.name == "vgg16":
            self.body = vgg.VGG16(self.config.frozen_stages, self.dtype)
        elif self.config.name == MOBILENET:
            self.body = mobilenet.MobileNetV3(self.config, self.dtype)
        else:
            self.body = resnet.ResNet(self.config, STAGES[self.neck.name], self.dtype)
        if self.neck.name == "fpn":
            self.fpn = FPN(self.neck.channels, self.neck.norm, self.dtype)

    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        """Map (N, H, W, 3) to maps (N, H_l, W_l, C_l) in `dtype`, fine to coarse."""
        maps = self.body(x, train)
        return self.fpn(maps, train) if self.neck.name == "fpn" else maps

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbouring cells of every map."""
        if self.config.name == MOBILENET:
            return (32, 32, 64)
        if self.neck.name == "fpn":
            return (4, 8, 16, 32, 64)
        undilated_res5 = self.neck.name == "c5" and not self.config.dilated_res5
        return (32,) if undilated_res5 and self.config.name != "vgg16" else (16,)

    @property
    def roi_levels(self) -> int:
        """How many of the maps, from the finest, serve the box head: not P6.

        MobileNet's two maps of one stride would give no reason to choose the second; torchvision
        never does.
        """
        return 4 if self.neck.name == "fpn" and self.config.name != MOBILENET else 1


def build_backbone(backbone: BackboneConfig, neck: NeckConfig, compute_dtype: str) -> Backbone:
    """Build the backbone."""
    return Backbone(backbone, neck, compute_dtype)


def frozen_modules(config: BackboneConfig) -> tuple[str, ...]:
    """Names of the modules in a backbone's ``body`` that are not trained."""
    if config.name == "vgg16":
        return vgg.frozen_modules(config.frozen_stages)
    if config.name == MOBILENET:
        return mobilenet.frozen_modules(config.frozen_stages)
    return resnet.frozen_modules(config.name, config.frozen_stages)

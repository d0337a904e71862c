"""Our own pieces keep the contracts, and a piece that breaks one is found out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import BackboneConfig, NeckConfig
from jaxrcnn.nets.backbone import Backbone
from jaxrcnn.ops.roi_align import roi_align
from jaxrcnn.ops.sampling import Sample, sample
from jaxrcnn.stages.pooling import ROI_OPS
from tests.contracts import check_backbone, check_roi_op, check_sampler

BACKBONES = {
    "fpn": (BackboneConfig("resnet18", "group", frozen_stages=0, width=32), NeckConfig("fpn", 16)),
    "fpn of batch norm": (
        BackboneConfig("resnet18", "batch", frozen_stages=2, width=8),
        NeckConfig("fpn", 16, norm="batch"),
    ),
    "c4": (BackboneConfig("resnet18", "frozen", width=8), NeckConfig("c4")),
    "dc5": (BackboneConfig("resnet18", "none", dilated_res5=True, width=8), NeckConfig("c5")),
    "vgg16": (BackboneConfig("vgg16", "none"), NeckConfig("c5")),
}

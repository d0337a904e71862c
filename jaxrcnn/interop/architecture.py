"""The fields of a model that the names and shapes of its tensors tell."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from jaxrcnn.config import ConfigError, ModelConfig
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.nets.resnet import ARCHITECTURES

Shape = Callable[[str], tuple[int, ...] | None]
"""A path of ours, such as backbone/body/conv1/kernel, to the shape of the peer's tensor; None where
the file has none."""


def with_architecture(tensors: Tensors, peer: Peer, config: ModelConfig) -> ModelConfig:
    """The config with the backbone, norms and channels that the file has.

    Args:
        tensors: of a detector.
        peer: whose they are.
        config: of the model that the file is said to be of.

    Raises:
        ConfigError: the backbone or the pyramid is another than any of ours.
    """
    tensors = peer.modernise(tensors, config)
    changes = _norm(tensors, peer, config)
    if config.backbone.name != "mobilenet_v3_large":
        changes |= resnet_fields(tensors, peer, config)
    changes |= dict(_channels(_shapes(tensors, peer, config), config))
    return replace_groups(config, changes)


def _shapes(tensors: Tensors, peer: Peer, config: ModelConfig) -> Shape:
    def shape(path: str) -> tuple[int, ...] | None:
        name = peer.name_of(path, config)
        return tensors[name].shape if name and name in tensors else None

    return shape


def replace_groups(config: ModelConfig, changes: dict[str, Any]) -> ModelConfig:
    """The config with other values for fields such as "backbone.name" and "num_classes"."""
    for name, value in changes.items():
        group, dot, field = name.rpartition(".")
        if dot:
            value = dataclasses.replace(getattr(config, group), **{field: value})
        config = dataclasses.replace(config, **{group or field: value})
    return config


def resnet_fields(tensors: Tensors, peer: Peer, config: ModelConfig) -> dict[str, Any]:
    """The name and the width of a ResNet: fields of a model, by dotted name.

    Args:
        tensors: of a detector or a backbone, with the names of today.
        peer: whose they are.
        config: of the model that they are said to be of.

    Raises:
        ConfigError: it is no ResNet, or none of ours.
    """
    shape = _shapes(tensors, peer, config)
    stem = shape("backbone/body/conv1/kernel")
    if stem is None:
        raise ConfigError(
            "the file has no ResNet, which this model has; is it of another model? With a "
            "MobileNetV3 it is fasterrcnn_mobilenet_v3_large_fpn; any other backbone that was "
            "given to torchvision's FasterRCNN cannot be converted"
        )
    last = "box_head" if config.box_head.name == "res5" else "backbone/body"
    places = [f"{last if stage == 4 else 'backbone/body'}/layer{stage}" for stage in (1, 2, 3, 4)]
    blocks = tuple(
        next(i for i in range(1000) if shape(f"{place}_{i}/conv1/kernel") is None)
        for place in places
    )
    bottleneck = shape("backbone/body/layer1_0/conv3/kernel") is not None
    inner, per_group = (shape("backbone/body/layer1_0/conv2/kernel") or (1, 1))[:2]
    groups, width = (inner // per_group if bottleneck else 1), stem[0]
    group_width = per_group * 64 // width if bottleneck else 64
    found = (blocks, bottleneck, groups, group_width)
    for name, architecture in ARCHITECTURES.items():
        if tuple(architecture) == found:
            basic = {} if bottleneck else {"backbone.stride_in_1x1": False}
            return {"backbone.name": name, "backbone.width": width, **basic}
    kind = "bottleneck" if bottleneck else "basic"
    raise ConfigError(
        f"the file's backbone has {blocks} {kind} blocks, {groups} groups of {group_width} "
        f"channels; model.backbone.name has none such: {', '.join(ARCHITECTURES)}"
    )


def _norm(tensors: Tensors, peer: Peer, config: ModelConfig) -> dict[str, Any]:
    """The backbone's normalisation, where the file's is another kind than the model's."""
    first = "bn1" if config.backbone.name != "mobilenet_v3_large" else "stem_bn"
    scale = peer.name_of(f"backbone/body/{first}/scale", config) or ""
    layer, _, _ = scale.rpartition(".")
    if scale in tensors and f"{layer}.running_var" not in tensors:
        return {"backbone.norm": "group"}
    body = scale.partition(".body." if ".body." in scale else "stem.")[0]
    counted = any(
        name.startswith(body) and name.endswith(".num_batches_tracked") and ".fpn" not in name
        for name in tensors
    )
    if counted and config.backbone.norm == "frozen":
        return {"backbone.norm": "batch"}
    return {}


def _channels(shape: Shape, config: ModelConfig) -> Iterator[tuple[str, Any]]:
    """Those of the pyramid and the heads; what does not fit is left to the loader's error."""
    channels = config.neck.channels
    if config.neck.name == "fpn":
        output = shape("backbone/fpn/layer_0/kernel")
        channels = output[0] if output else channels
        yield "neck.channels", channels
        levels = len(config.anchors.sizes) - 1
        there = next(i for i in range(1000) if shape(f"backbone/fpn/layer_{i}/kernel") is None)
        if there != levels:
            raise ConfigError(
                f"the file's feature pyramid has {there} levels and the pooled one, this model's "
                f"{levels}; returned_layers other than torchvision's default cannot be converted"
            )
        if shape("backbone/fpn/layer_bn_0/scale"):
            batch = shape("backbone/fpn/layer_bn_0/var") is not None
            yield "neck.norm", "batch" if batch else "group"
    yield from _rpn(shape, config, channels)
    boxes = shape("box_head/bbox_pred/kernel")
    if boxes and boxes[0] == 4 and config.num_classes > 1:
        yield "box_head.class_agnostic", True
    fc6 = shape("box_head/fc6/kernel")
    if config.box_head.name != "two_fc" or fc6 is None:
        return
    yield "box_head.channels", fc6[0]
    side = math.isqrt(fc6[1] // channels)
    if config.neck.name == "fpn" and side**2 * channels == fc6[1]:
        yield "roi.output_size", side


def _rpn(shape: Shape, config: ModelConfig, channels: int) -> Iterator[tuple[str, Any]]:
    """Its hidden convolutions, which have names of their own where there are several."""
    convs = next(i for i in range(1000) if shape(f"rpn_head/conv_{i}/kernel") is None)
    hidden = shape("rpn_head/conv_0/kernel") or shape("rpn_head/conv/kernel")
    if hidden is None:
        return
    yield "rpn.convs", max(convs, 1)
    if config.neck.name == "fpn" and hidden[0] != channels:
        yield "rpn.channels", hidden[0]

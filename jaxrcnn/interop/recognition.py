"""Which detector or backbone a weight file is of, by the names and shapes of its tensors."""

import pathlib
from typing import Any, NamedTuple

from jaxrcnn.config import BackboneConfig, ModelConfig
from jaxrcnn.interop.architecture import resnet_fields
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.published import published_as

LARGE, SMALL = "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"
"""Two models of torchvision's whose weights have the same names and shapes."""

EPSILON = 1e-5
"""That of the norms in ResNets."""


class Recognised(NamedTuple):
    """The published model that a weight file is of."""

    name: str
    line: str  # how it was found out, for a person
    published: bool = False  # whether its weights are, too, so that nothing is assumed


def detector_name(tensors: Tensors, peer: Peer, path: pathlib.Path) -> Recognised:
    """The model that a detector's weight file is of.

    Args:
        tensors: of the detector.
        peer: whose they are.
        path: of the file, which may be a published one.
    """
    published = published_as(path)
    if published is not None and published.kind == "detector":
        line = f"{published.model} {published.weights}, by its hash"
        return Recognised(published.model, line, published=True)
    name = _torchvision(tensors) if peer is TORCHVISION else _detectron2(tensors)
    if name != LARGE:
        return Recognised(name, f"{name}, by its tensors")
    return Recognised(
        name, f"{name}, assumed; the tensors of {SMALL} are the same: for it, give {SMALL}:{path}"
    )


def _torchvision(tensors: Tensors) -> str:
    if "backbone.body.0.0.weight" in tensors:
        return LARGE
    deep = "roi_heads.box_head.0.0.weight" in tensors
    return "fasterrcnn_resnet50_fpn_v2" if deep else "fasterrcnn_resnet50_fpn"


def _detectron2(tensors: Tensors) -> str:
    """Of the depth that is nearest: `with_architecture` finds the others."""
    neck = "DC5"
    for beginning, name in (("backbone.fpn_lateral", "FPN"), ("roi_heads.res5.", "C4")):
        if any(tensor.startswith(beginning) for tensor in tensors):
            neck = name
    trunk = "backbone.bottom_up." if neck == "FPN" else "backbone."
    block = tensors.get(f"{trunk}res2.0.conv2.weight")
    if block is not None and block.shape[1] < block.shape[0]:
        return f"faster_rcnn_X_101_32x8d_{neck}"
    deep = f"{trunk}res4.6.conv1.weight" in tensors  # a ResNet-50 has six blocks there
    return f"faster_rcnn_{'R_101' if deep else 'R_50'}_{neck}"


def backbone_fields(tensors: Tensors, peer: Peer, path: pathlib.Path) -> dict[str, Any]:
    """The fields, by dotted name, that an ImageNet backbone's weights need.

    The pixels of a VGG16 are among them only if torchvision published the file: the original
    weights, whose pixels are not divided by a deviation, have the same names. The epsilon of a
    MobileNetV3 is left open: its classifier has 1e-3, torchvision's detectors with it 1e-5.

    Raises:
        ConfigError: there is no such backbone here.
    """
    config = _backbone_model(tensors, peer)
    backbone = config.backbone
    fields: dict[str, Any] = {
        "backbone.name": backbone.name,
        "backbone.norm": backbone.norm,
        "backbone.stride_in_1x1": False,
    }
    if backbone.name.startswith("res"):
        fields["backbone.norm_epsilon"] = EPSILON
        fields |= resnet_fields(peer.modernise(tensors, config), peer, config)
        backbone = BackboneConfig(fields["backbone.name"])
    trained = peer.trained_with(ModelConfig(backbone=backbone))
    if backbone.name in ("resnet18", "resnet34"):
        trained = {**trained, "backbone.stride_in_1x1": False}  # it has no bottleneck blocks
    if backbone.name == "vgg16" and published_as(path) is None:
        trained = {}
    return {f"model.{name}": value for name, value in {**fields, **trained}.items()}


def _backbone_model(tensors: Tensors, peer: Peer) -> ModelConfig:
    if peer is not DETECTRON2_BACKBONE and "features.0.weight" in tensors:
        return ModelConfig(backbone=BackboneConfig("vgg16", norm="none"))
    if peer is not DETECTRON2_BACKBONE and not {"conv1.weight"} & tensors.keys():
        return ModelConfig(backbone=BackboneConfig("mobilenet_v3_large"))
    return ModelConfig(backbone=BackboneConfig("resnet50"))

"""Detectron2's Faster R-CNN (C4, DC5 and FPN), and the Caffe2 names of its ImageNet backbones.

Its networks take blue first; the first convolution is turned around at the door, so that ours takes
red first, with the same sums.
"""

import re
from typing import Any

import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.interop.layouts import (
    BACKGROUND_LAST,
    BGR,
    CONV,
    LINEAR,
    SAME,
    Layout,
    flattened,
    then,
)
from jaxrcnn.interop.naming import Peer, Rules, Tensors, rename
from jaxrcnn.interop.of_torchvision import FIELDS, PIXELS

BODY: Rules = (
    (r"conv1", r"stem.conv1"),
    (r"bn1", r"stem.conv1.norm"),
    (r"(res\d\.\d+)/conv(\d)", r"\1.conv\2"),
    (r"(res\d\.\d+)/bn(\d)", r"\1.conv\2.norm"),
    (r"(res\d\.\d+)/downsample_0", r"\1.shortcut"),
    (r"(res\d\.\d+)/downsample_1", r"\1.shortcut.norm"),
)

DETECTOR: Rules = (
    (r"rpn_head/conv", r"proposal_generator.rpn_head.conv"),
    (r"rpn_head/conv_(\d)", r"proposal_generator.rpn_head.conv.conv\1"),
    (r"rpn_head/cls_logits", r"proposal_generator.rpn_head.objectness_logits"),
    (r"rpn_head/bbox_pred", r"proposal_generator.rpn_head.anchor_deltas"),
    (r"box_head/fc6", r"roi_heads.box_head.fc1"),
    (r"box_head/fc7", r"roi_heads.box_head.fc2"),
    (r"box_head/(cls_score|bbox_pred)", r"roi_heads.box_predictor.\1"),
)

CAFFE2: Rules = (
    (r"conv1_w", r"stem.conv1.weight"),
    (r"(?:res_)?conv1_bn_s", r"stem.conv1.norm.weight"),
    (r"(?:res_)?conv1_bn_b", r"stem.conv1.norm.bias"),
    *(
        (rf"res(\d)_(\d+)_{branch}_{kind}", rf"res\1.\2.{layer}.{field}")
        for branch, layer in (
            ("branch1", "shortcut"),
            ("branch2a", "conv1"),
            ("branch2b", "conv2"),
            ("branch2c", "conv3"),
        )
        for kind, field in (("w", "weight"), ("bn_s", "norm.weight"), ("bn_b", "norm.bias"))
    ),
)
"""Names of the Caffe2 blobs, whose statistics are folded into scale and bias."""

NORM_EPSILON = 1e-5


def name_of(path: str, config: ModelConfig) -> str | None:
    """The name in a detector's state dict."""
    module, _, field = path.rpartition("/")
    if module.startswith("backbone/body/"):
        trunk = "backbone.bottom_up." if config.neck.name == "fpn" else "backbone."
        name = trunk + body_name(module.removeprefix("backbone/body/"))
    elif module.startswith("box_head/layer4"):
        name = "roi_heads." + body_name(module.removeprefix("box_head/"))
    elif module.startswith("backbone/fpn/"):
        name = _fpn_name(module.removeprefix("backbone/fpn/"))
    else:
        name = rename(module, DETECTOR)
    return name and f"{name}.{FIELDS[field]}"


def body_name(module: str) -> str:
    """The name of a ResNet's module; ``layer1_0/bn2`` is ``res2.0.conv2.norm``."""
    stage = re.sub(r"layer(\d)_(\d+)", lambda m: f"res{int(m[1]) + 1}.{m[2]}", module)
    name = rename(stage, BODY)
    assert name, module
    return name


def _fpn_name(module: str) -> str:
    """``inner_0`` is the lateral convolution of res2, ``layer_0`` the output one; norms behind."""
    kind, *norm, level = module.split("_")
    place = {"inner": "lateral", "layer": "output"}[kind]
    return f"backbone.fpn_{place}{int(level) + 2}" + (".norm" if norm else "")


def layout_of(path: str, config: ModelConfig) -> Layout:
    """How the array lies in a detector's state dict."""
    module, _, field = path.rpartition("/")
    if module == "box_head/cls_score":
        return then(BACKGROUND_LAST, LINEAR) if field == "kernel" else BACKGROUND_LAST
    if field != "kernel":
        return SAME
    if module == "box_head/fc6":
        return then(flattened(config.roi.output_size), LINEAR)
    if module in ("box_head/fc7", "box_head/bbox_pred"):
        return LINEAR
    return then(BGR, CONV) if module == "backbone/body/conv1" else CONV


def rgb_layout_of(path: str, config: ModelConfig) -> Layout:
    """How the array lies where the network takes red first."""
    return CONV if path == "backbone/body/conv1/kernel" else layout_of(path, config)


def with_statistics(tensors: Tensors) -> dict[str, np.ndarray]:
    """Statistics for norms of Caffe2 that have none, being folded into scale and bias."""
    new = dict(tensors)
    for name, scale in tensors.items():
        norm, found, _ = name.rpartition(".norm.weight")
        if found and f"{norm}.norm.running_var" not in tensors:
            new[f"{norm}.norm.running_mean"] = np.zeros_like(scale)
            new[f"{norm}.norm.running_var"] = np.full_like(scale, 1 - NORM_EPSILON)
    return new


def trained_with(config: ModelConfig) -> dict[str, Any]:
    """What its weights are for: MSRA's ResNets, or the ResNeXt that came from torch."""
    if config.backbone.name.startswith("resnext"):
        return {**PIXELS, "backbone.stride_in_1x1": False}
    return {**PIXELS, "pixel_std": (1.0, 1.0, 1.0), "backbone.stride_in_1x1": True}


DETECTRON2 = Peer(
    title="Detectron2's Faster R-CNN",
    name_of=name_of,
    layout_of=layout_of,
    modernise=lambda tensors, config: dict(tensors),
    skipped=(
        r"pixel_(mean|std)",
        r"proposal_generator\.anchor_generator\.cell_anchors\.\d+",
        r"roi_heads\.(mask|keypoint)_.*",
        r".*\.num_batches_tracked",
    ),
    trained_with=trained_with,
)

DETECTRON2_RGB = DETECTRON2._replace(
    title="Detectron2's Faster R-CNN, of RGB images", layout_of=rgb_layout_of
)
"""Trained with INPUT.FORMAT RGB, as Detectron2 recommends for torchvision's backbones."""

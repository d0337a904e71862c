"""ImageNet classifiers whose trunk becomes a backbone; what stands behind it is left out."""

import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.interop import of_detectron2, of_torchvision
from jaxrcnn.interop.layouts import BGR, CONV, LINEAR, SAME, Layout, flattened, then
from jaxrcnn.interop.naming import Peer, Tensors, rename
from jaxrcnn.interop.of_torchvision import FIELDS
from jaxrcnn.nets.vgg import BLOCKS

TIMM_BLOCKS = (1, 2, 3, 4, 2, 3)
"""MobileNetV3's blocks in the stages that timm sees."""
TIMM_PARTS = {
    "expand_conv": "conv_pw",
    "expand_bn": "bn1",
    "depthwise_conv": "conv_dw",
    "depthwise_bn": "bn2",
    "squeeze": "se.conv_reduce",
    "excite": "se.conv_expand",
    "project_conv": "conv_pwl",
    "project_bn": "bn3",
}
"""Our names of an inverted residual's modules, and timm's."""
TIMM_FIRST_PARTS = {
    "depthwise_conv": "conv_dw",
    "depthwise_bn": "bn1",
    "project_conv": "conv_pw",
    "project_bn": "bn2",
}
"""The same of a block that does not widen: the first."""

HEADS = {"fc6": "classifier.0", "fc7": "classifier.3"}
"""VGG16's linear layers, which the paper's box head begins with."""


def trunk_path(path: str, config: ModelConfig) -> str | None:
    """The path below the ResNet or MobileNet; res5 of a C4 detector is part of its box head."""
    if path.startswith("box_head/layer4"):
        return path.removeprefix("box_head/")
    found = path.removeprefix("backbone/body/")
    return None if found == path else found


def name_of(path: str, config: ModelConfig) -> str | None:
    """The name in the state dict of torchvision's classifier."""
    module, _, field = path.rpartition("/")
    if config.backbone.name == "vgg16":
        name = _vgg_names().get(module)
    else:
        trunk = trunk_path(module, config)
        name = trunk and of_torchvision.body_name(trunk, config)
        if name and config.backbone.name == "mobilenet_v3_large":
            name = f"features.{name}"
    return name and f"{name}.{FIELDS[field]}"


def _vgg_names() -> dict[str, str]:
    """Numbered: each convolution and its ReLU, a pool behind each block."""
    names = {f"box_head/{ours}": theirs for ours, theirs in HEADS.items()}
    number = 0
    for block, widths in enumerate(BLOCKS, start=1):
        for index in range(1, len(widths) + 1):
            names[f"backbone/body/conv{block}_{index}"] = f"features.{number}"
            number += 2
        number += 1
    return names


def layout_of(path: str, config: ModelConfig) -> Layout:
    """How the array lies in the classifier's state dict."""
    module, _, field = path.rpartition("/")
    if field != "kernel":
        return SAME
    if module == "box_head/fc6":
        return then(flattened(config.roi.output_size), LINEAR)
    return LINEAR if module == "box_head/fc7" else CONV


def modernise(tensors: Tensors, config: ModelConfig) -> dict[str, np.ndarray]:
    """torchvision's names where timm has others: MobileNetV3's modules, VGG16's linear layers."""
    if "pre_logits.fc1.weight" in tensors:
        return _timm_vgg(tensors)
    if "conv_stem.weight" not in tensors:
        return dict(tensors)
    names = _timm_mobilenet_names()
    new = {}
    for name, x in tensors.items():
        module, _, field = name.rpartition(".")
        theirs = names.get(module)
        new[f"features.{theirs}.{field}" if theirs else name] = x
    return new


def _timm_vgg(tensors: Tensors) -> dict[str, np.ndarray]:
    """timm keeps the linear layers as convolutions (O, I, h, w), with numbers in the same order."""
    new = dict(tensors)
    for theirs, ours in (("pre_logits.fc1", "classifier.0"), ("pre_logits.fc2", "classifier.3")):
        weight = new.pop(f"{theirs}.weight")
        new[f"{ours}.weight"] = weight.reshape(len(weight), -1)
        new[f"{ours}.bias"] = new.pop(f"{theirs}.bias")
    return new


def _timm_mobilenet_names() -> dict[str, str]:
    """timm's name of each module, and torchvision's: timm counts the blocks of each stage anew."""
    ours = of_torchvision.mobilenet_names()
    names = {"conv_stem": ours["stem_conv"], "bn1": ours["stem_bn"]}
    number = 0
    for stage, blocks in enumerate(TIMM_BLOCKS):
        for block in range(blocks):
            number += 1
            parts = TIMM_PARTS if f"layer_{number}/expand_conv" in ours else TIMM_FIRST_PARTS
            for part, theirs in parts.items():
                if f"layer_{number}/{part}" in ours:
                    names[f"blocks.{stage}.{block}.{theirs}"] = ours[f"layer_{number}/{part}"]
    last = f"blocks.{len(TIMM_BLOCKS)}.0"
    return names | {f"{last}.conv": ours["last_conv"], f"{last}.bn1": ours["last_bn"]}


TORCHVISION_BACKBONE = Peer(
    title="an ImageNet backbone with torchvision's names",
    name_of=name_of,
    layout_of=layout_of,
    modernise=modernise,
    skipped=(r".*\.num_batches_tracked", r"(fc|classifier|head|conv_head)\..*"),
    trained_with=of_torchvision.trained_with,
)


def caffe2_name_of(path: str, config: ModelConfig) -> str | None:
    """The name in Detectron2's own form of its backbones."""
    module, _, field = path.rpartition("/")
    trunk = trunk_path(module, config)
    return trunk and f"{of_detectron2.body_name(trunk)}.{FIELDS[field]}"


def caffe2_layout_of(path: str, config: ModelConfig) -> Layout:
    """How the array lies there: the first convolution takes blue first."""
    layout = CONV if path.endswith("/kernel") else SAME
    return then(BGR, layout) if path == "backbone/body/conv1/kernel" else layout


def caffe2_modernise(tensors: Tensors, config: ModelConfig) -> dict[str, np.ndarray]:
    """Detectron2's names, and statistics for the norms."""
    named = {rename(name, of_detectron2.CAFFE2) or name: x for name, x in tensors.items()}
    return of_detectron2.with_statistics(named)


DETECTRON2_BACKBONE = Peer(
    title="an ImageNet backbone of Detectron2's",
    name_of=caffe2_name_of,
    layout_of=caffe2_layout_of,
    modernise=caffe2_modernise,
    skipped=(r".*_momentum", r"conv1_b", r"(fc1000|pred)_[wb]", r"(stem\.)?fc\..*"),
    trained_with=of_detectron2.trained_with,
)

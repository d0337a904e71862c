"""torchvision's Faster R-CNN and its ImageNet classifiers, whose names and layouts timm shares.

Our modules are named after torchvision's, so that few rules do. The names are those of torchvision
0.13 and newer; older files have others for the FPN and the RPN's head.
"""

from typing import Any

import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.interop.layouts import CONV, LINEAR, SAME, Layout, flattened, sizes_first, then
from jaxrcnn.interop.naming import Peer, Rules, Tensors, rename
from jaxrcnn.nets.mobilenet import LAYERS, STEM_CHANNELS

FIELDS = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
"""Our names of a layer's arrays, and torch's."""

DETECTOR: Rules = (
    (r"backbone/fpn/(inner|layer)_(\d)", r"backbone.fpn.\1_blocks.\2.0"),
    (r"backbone/fpn/(inner|layer)_bn_(\d)", r"backbone.fpn.\1_blocks.\2.1"),
    (r"rpn_head/conv", r"rpn.head.conv.0.0"),
    (r"rpn_head/conv_(\d)", r"rpn.head.conv.\1.0"),
    (r"rpn_head/(cls_logits|bbox_pred)", r"rpn.head.\1"),
    (r"box_head/(fc6|fc7)", r"roi_heads.box_head.\1"),
    (r"box_head/(cls_score|bbox_pred)", r"roi_heads.box_predictor.\1"),
)

OLD_NAMES: Rules = (
    (r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)", r"\1.0.\2"),
    (r"rpn\.head\.conv\.(weight|bias)", r"rpn.head.conv.0.0.\1"),
)

BOX_DELTAS = tuple(f"roi_heads.box_predictor.bbox_pred.{field}" for field in ("weight", "bias"))
BACKGROUND = "[:4]"
"""Behind the name of box deltas: those of the background, which no loss and no detection uses."""

KEPT = (r".*\.num_batches_tracked", r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)\[:4\]")
"""Patterns of what a state dict needs and a detector does not."""


def name_of(path: str, config: ModelConfig) -> str | None:
    """The name in a detector's state dict."""
    module, _, field = path.rpartition("/")
    part, _, below = module.partition("/body/")
    if below:
        name = f"{part}.body.{body_name(below, config)}"
    elif config.box_head.name == "conv_fc" and module.startswith("box_head/"):
        name = _conv_fc_name(module, config) or rename(module, DETECTOR)
    else:
        name = rename(module, DETECTOR)
    return name and f"{name}.{FIELDS[field]}"


def _conv_fc_name(module: str, config: ModelConfig) -> str | None:
    """Numbered: the convolutions, a flattening, the linear layer."""
    numbers = {"box_head/fc6": f"{config.box_head.convs + 1}"}
    for index in range(config.box_head.convs):
        numbers |= {f"box_head/conv{index + 1}": f"{index}.0"}
        numbers |= {f"box_head/bn{index + 1}": f"{index}.1"}
    return f"roi_heads.box_head.{numbers[module]}" if module in numbers else None


def body_name(module: str, config: ModelConfig) -> str:
    """The name of a module of the backbone's body; ``layer1_0/conv1`` is ``layer1.0.conv1``."""
    if config.backbone.name == "mobilenet_v3_large":
        return mobilenet_names()[module]
    return module.replace("/", ".").replace("_", ".")


def mobilenet_names() -> dict[str, str]:
    """MobileNet's modules are numbered, those that a block does not have left out."""
    names = {"stem_conv": "0.0", "stem_bn": "0.1"}
    channels = STEM_CHANNELS
    for number, layer in enumerate(LAYERS, start=1):
        parts = ["expand"] if layer.expanded != channels else []
        parts += ["depthwise"] + (["squeeze"] if layer.squeeze else []) + ["project"]
        for place, part in enumerate(parts):
            ours, theirs = f"layer_{number}/{part}", f"{number}.block.{place}"
            if part == "squeeze":
                excite = f"layer_{number}/excite"
                names |= {ours: f"{theirs}.fc1", excite: f"{theirs}.fc2"}
            else:
                names |= {f"{ours}_conv": f"{theirs}.0", f"{ours}_bn": f"{theirs}.1"}
        channels = layer.channels
    last = len(LAYERS) + 1
    return names | {"last_conv": f"{last}.0", "last_bn": f"{last}.1"}


def layout_of(path: str, config: ModelConfig) -> Layout:
    """How the array lies in a detector's state dict."""
    module, _, field = path.rpartition("/")
    if module in ("rpn_head/cls_logits", "rpn_head/bbox_pred"):
        anchors = sizes_first(len(config.anchors.sizes[0]), len(config.anchors.ratios))
        return then(anchors, CONV) if field == "kernel" else anchors
    if field != "kernel":
        return SAME
    if module == "box_head/fc6":
        return then(flattened(config.roi.output_size), LINEAR)
    if module in ("box_head/fc7", "box_head/cls_score", "box_head/bbox_pred"):
        return LINEAR
    return CONV


def modernise(tensors: Tensors, config: ModelConfig) -> dict[str, np.ndarray]:
    """A detector's state dict with new names, and the background's box deltas by themselves."""
    new = {rename(name, OLD_NAMES) or name: x for name, x in tensors.items()}
    for name in BOX_DELTAS:
        if name in new:
            new |= {name: new[name][4:], name + BACKGROUND: new[name][:4]}
    return new


def complete(tensors: Tensors, kept: Tensors, config: ModelConfig) -> dict[str, np.ndarray]:
    """The whole state dict; zeros for what is not kept from the file that was loaded."""
    whole = {name: kept.get(name, x) for name, x in tensors.items()}
    for name in BOX_DELTAS:
        background = kept.get(name + BACKGROUND, np.zeros_like(whole[name][:4]))
        whole[name] = np.concatenate([background, whole[name]])
    norms = {
        "backbone.body.": config.backbone.norm,
        "backbone.fpn.": config.neck.norm,
        "roi_heads.box_head.": config.box_head.norm,
    }
    for name in tensors:
        layer, found, _ = name.rpartition(".running_var")
        if found and any(name.startswith(part) and norms[part] == "batch" for part in norms):
            count = f"{layer}.num_batches_tracked"
            whole[count] = kept.get(count, np.zeros((), np.int64))
    return whole


PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
"""Of red, green and blue, in all that torchvision publishes."""


def trained_with(config: ModelConfig) -> dict[str, Any]:
    """What its weights are for."""
    return {**PIXELS, "backbone.stride_in_1x1": False}


TORCHVISION = Peer(
    title="torchvision's Faster R-CNN",
    name_of=name_of,
    layout_of=layout_of,
    modernise=modernise,
    skipped=(
        *KEPT,
        r"roi_heads\.(mask|keypoint)_.*",
    ),
    trained_with=trained_with,
    kept=KEPT,
    complete=complete,
)

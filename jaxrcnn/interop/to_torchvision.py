"""The call of torchvision's that builds a detector of ours, for its weights to be loaded into.

It is that of torchvision 0.13 and later. What torchvision's classes have no argument for is a
reason not to write weights for them: they would load, and find something else.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.config_io import field_values
from jaxrcnn.interop.of_torchvision import PIXELS
from jaxrcnn.nets.backbone import MOBILENET
from jaxrcnn.nets.resnet import ARCHITECTURES
from jaxrcnn.peer_fields import TORCHVISION_DEFAULTS, TORCHVISION_NUMBERS

FIXED = {
    "model.neck.name": "fpn",
    "model.backbone.width": 64,
    "model.backbone.stride_in_1x1": False,
    "model.backbone.dilated_res5": False,
    "model.anchors.offset": 0.0,
    "model.anchors.spread": True,
    "model.rpn.coder_weights": (1.0, 1.0, 1.0, 1.0),
    "model.roi.op": "align_unaligned",
    "model.box_head.class_agnostic": False,
    "model.box_head.class_loss": "softmax",
    "model.detections.soft_nms": "none",
}
"""Fields that torchvision has no argument for, and the only values that it computes."""

IMPORTS = {
    "BatchNorm2d": "torch.nn",
    "GroupNorm": "torch.nn",
    "FrozenBatchNorm2d": "torchvision.ops.misc",
    "MultiScaleRoIAlign": "torchvision.ops",
    "FasterRCNN": "torchvision.models.detection",
    "overwrite_eps": "torchvision.models.detection._utils",
    "AnchorGenerator": "torchvision.models.detection.anchor_utils",
    "BackboneWithFPN": "torchvision.models.detection.backbone_utils",
    "mobilenet_backbone": "torchvision.models.detection.backbone_utils",
    "resnet_fpn_backbone": "torchvision.models.detection.backbone_utils",
    "FastRCNNConvFCHead": "torchvision.models.detection.faster_rcnn",
    "FastRCNNPredictor": "torchvision.models.detection.faster_rcnn",
    "TwoMLPHead": "torchvision.models.detection.faster_rcnn",
    "RPNHead": "torchvision.models.detection.rpn",
    **dict.fromkeys(ARCHITECTURES, "torchvision.models"),
}
"""Where the names in the call come from."""


def check_is_torchvisions(config: Config) -> None:
    """Stop where torchvision would compute something else with the same weights.

    Raises:
        ConfigError: names every field, its value, and the one that torchvision has.
    """
    differences = list(_differences(config))
    if differences:
        model = config.model
        differences += [
            f"model.{name}={getattr(model, name)}, {wanted} there"
            for name, wanted in PIXELS.items()
            if getattr(model, name) != wanted
        ]
        raise ConfigError(
            "torchvision cannot build this model, it would find something else with these "
            f"weights: {'; '.join(differences)}"
        )


def _differences(config: Config) -> Iterator[str]:
    values, model = field_values(config), config.model
    for name, wanted in FIXED.items():
        if values[name] != wanted:
            yield f"{name}={values[name]}, {wanted} there"
    backbone, neck, head = model.backbone, model.neck, model.box_head
    if backbone.name not in (*ARCHITECTURES, MOBILENET) or backbone.norm == "none":
        yield f"model.backbone.name={backbone.name} with model.backbone.norm={backbone.norm}"
    if backbone.name == MOBILENET and (neck.channels, neck.norm) != (256, "none"):
        yield f"model.neck.channels={neck.channels}, model.neck.norm={neck.norm}; 256, none there"
    if neck.norm == "group":
        yield "model.neck.norm=group, none or batch there"
    if not model.anchors.rounded and not _are_whole(model):
        yield "model.anchors.rounded=False, True there"
    if model.rpn.channels not in (0, neck.channels):
        yield f"model.rpn.channels={model.rpn.channels}, {neck.channels} there"
    if head.name == "conv_fc" and (head.norm == "group" or head.channels != 1024):
        yield f"model.box_head.norm={head.norm}, model.box_head.channels={head.channels}"


def _are_whole(model: ModelConfig) -> bool:
    """Whether the corners of all anchors of a cell are whole pixels, so that rounding is idle."""
    sizes = np.array(model.anchors.sizes)[..., None]
    ratios = np.array(model.anchors.ratios)
    halves = np.concatenate([sizes / ratios**0.5, sizes * ratios**0.5]) / 2
    return bool(np.all(halves == np.round(halves)))


def torchvision_call(config: Config, file: str) -> str:
    """Python code that builds the detector and loads its weights.

    Args:
        config: of the model, see `check_is_torchvisions`.
        file: of the weights.
    """
    backbone = config.model.backbone
    arguments = [_backbone(config.model), *_heads(config.model), *_numbers(config)]
    lines = ["model = FasterRCNN(", *(f"    {argument}," for argument in arguments), ")"]
    if backbone.norm == "frozen" and backbone.norm_epsilon != 1e-5:
        lines.append(f"overwrite_eps(model, {backbone.norm_epsilon})")
    lines.append(f"model.load_state_dict(load_file({file!r}))")
    code = "\n".join(lines)
    modules: dict[str, list[str]] = {}
    for name, module in IMPORTS.items():
        if f"{name}(" in code or f"norm_layer={name}" in code:
            modules.setdefault(module, []).append(name)
    imports = [f"from {module} import {', '.join(names)}" for module, names in modules.items()]
    imports.append("from safetensors.torch import load_file")
    return "\n".join([*sorted(imports), code])


def _backbone(model: ModelConfig) -> str:
    """The first argument."""
    backbone, neck = model.backbone, model.neck
    norm = {
        "frozen": "FrozenBatchNorm2d",
        "batch": "BatchNorm2d",
        "group": "lambda channels: GroupNorm(32, channels)",
    }[backbone.norm]
    if backbone.norm == "batch" and backbone.norm_epsilon != 1e-5:
        norm = f"lambda channels: BatchNorm2d(channels, eps={backbone.norm_epsilon})"
    layer = "" if backbone.norm == "frozen" else f", norm_layer={norm}"  # the default
    if backbone.name == MOBILENET:
        return f"mobilenet_backbone(backbone_name={MOBILENET!r}, weights=None, fpn=True{layer})"
    if (neck.channels, neck.norm) == (256, "none"):
        return f"resnet_fpn_backbone(backbone_name={backbone.name!r}, weights=None{layer})"
    body = f"{backbone.name}(weights=None, norm_layer={norm})"
    layers = {f"layer{stage}": str(stage - 1) for stage in (1, 2, 3, 4)}
    expansion = 4 if ARCHITECTURES[backbone.name].bottleneck else 1
    widths = [64 * 2**stage * expansion for stage in range(4)]
    end = ", norm_layer=BatchNorm2d" if neck.norm == "batch" else ""
    return f"BackboneWithFPN({body}, {layers}, {widths}, {neck.channels}{end})"


def _heads(model: ModelConfig) -> Iterator[str]:
    """Anchors, pooling and heads, where FasterRCNN makes others by itself."""
    anchors, roi, head, channels = model.anchors, model.roi, model.box_head, model.neck.channels
    classes, levels = model.num_classes + 1, len(anchors.sizes)
    if (anchors.sizes, anchors.ratios) != TORCHVISION_DEFAULTS["rpn_anchor_generator"]:
        ratios = f"({anchors.ratios},) * {levels}"
        yield f"rpn_anchor_generator=AnchorGenerator({anchors.sizes}, {ratios})"
    if model.rpn.convs != 1:
        per_cell = len(anchors.sizes[0]) * len(anchors.ratios)
        yield f"rpn_head=RPNHead({channels}, {per_cell}, conv_depth={model.rpn.convs})"
    if (roi.output_size, roi.sampling_ratio) != (7, 2):
        maps, ratio = [str(level) for level in range(levels - 1)], roi.sampling_ratio or -1
        yield f"box_roi_pool=MultiScaleRoIAlign({maps}, {roi.output_size}, {ratio})"
    if head.name == "conv_fc":
        norm = "BatchNorm2d" if head.norm == "batch" else "None"
        size, convs = (
            (channels, roi.output_size, roi.output_size),
            [head.conv_channels] * head.convs,
        )
        yield f"box_head=FastRCNNConvFCHead({size}, {convs}, [1024], norm_layer={norm})"
    elif head.channels != 1024:
        yield f"box_head=TwoMLPHead({channels * roi.output_size**2}, {head.channels})"
        yield f"box_predictor=FastRCNNPredictor({head.channels}, {classes})"
        return
    yield f"num_classes={classes}"


def _numbers(config: Config) -> Iterator[str]:
    """Sizes, statistics, thresholds and limits that are not FasterRCNN's defaults."""
    values: dict[str, Any] = field_values(config)
    for argument, field in TORCHVISION_NUMBERS.items():
        value = values[field]
        if field in ("model.pixel_mean", "model.pixel_std"):
            value = tuple(round(x / 255, 7) for x in value)
        if value != TORCHVISION_DEFAULTS[argument] or argument in ("min_size", "max_size"):
            yield f"{argument}={value}"


def remarks(config: Config) -> list[str]:
    """What a detector of torchvision's does otherwise, by less than its weights would show."""
    lines = []
    if config.data.resize != "torchvision":
        lines.append(f"data.resize={config.data.resize}: torchvision resizes without antialiasing")
    if config.model.detections.min_size != 0.01:
        lines.append(
            f"model.detections.min_size={config.model.detections.min_size}: torchvision drops "
            "detections below 0.01 pixels"
        )
    if config.model.proposals.min_size != 1e-3:
        lines.append(
            f"model.proposals.min_size={config.model.proposals.min_size}: torchvision drops "
            "proposals below 0.001 pixels"
        )
    return lines

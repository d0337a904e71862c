"""The fields that a detector's weights depend on, and how a config differs from them."""

from collections.abc import Mapping
from typing import Any

from jaxrcnn.config import Config
from jaxrcnn.config_io import field_values

STRICT = (
    "model.pixel_mean",
    "model.pixel_std",
    "model.backbone.name",
    "model.backbone.norm",  # and norm_epsilon
    "model.backbone.stride_in_1x1",
    "model.backbone.dilated_res5",
    "model.backbone.width",
    "model.neck.",
    "model.anchors.",
    "model.rpn.",
    "model.proposals.pre_nms_",
    "model.proposals.post_nms_",
    "model.proposals.nms_iou",
    "model.proposals.min_size",
    "model.proposals.score_threshold",
    "model.proposals.append_ground_truth",
    "model.roi.",
    "model.box_head.",
    "model.detections.min_size",
    "data.resize",
)
"""Fields that weights are trained with, or how their names begin: another value is a mismatch."""

CHOSEN = (
    "model.backbone.frozen_stages",
    "model.box_head.dropout",
    "model.detections.",
    "data.short_side",
    "data.long_side",
    "data.train_short_sides",
    "data.canvas",
)
"""Fields that are also taken from a source of weights, but may be chosen otherwise."""

NEVER = ("model.box_head.mining.", "model.box_head.per_class_weights")
"""Ways to train a box head, which a run chooses for itself."""

SMOOTH = ("smooth_l1", "huber")
"""Box losses with a beta."""


def is_strict(name: str) -> bool:
    """Whether another value of the field is a mismatch."""
    return name.startswith(STRICT) and not name.startswith((*CHOSEN[:2], *NEVER))


def trained_fields(config: Config) -> dict[str, Any]:
    """The fields of a source's config that are taken from it, by dotted name."""
    return {
        name: value
        for name, value in field_values(config).items()
        if is_strict(name) or (name.startswith(CHOSEN) and not name.startswith(NEVER))
    }


def differing(fields: Mapping[str, Any], config: Config) -> list[str]:
    """Names of the strict fields among `fields` that the config has other values of.

    A field that had no effect in training, such as the beta of an L1 loss, does not count.
    """
    here = field_values(config)
    there = {**here, **fields}
    return [
        name
        for name in here
        if name in fields
        and is_strict(name)
        and here[name] != there[name]
        and _has_effect(name, there)
        and _meaning(name, here) != _meaning(name, there)
    ]


def _meaning(name: str, values: Mapping[str, Any]) -> Any:
    """A value, with that of a default which stands for another field's."""
    if name == "model.rpn.channels" and values["model.neck.name"] == "fpn":
        return values[name] or values["model.neck.channels"]
    return values[name]


def _has_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a detector with these values depends on the field."""
    part, _, last = name.rpartition(".")
    match last:
        case "norm_epsilon":
            return values["model.backbone.norm"] in ("frozen", "batch")
        case "box_loss_beta":
            return values[f"{part}.box_loss"] in SMOOTH
        case "sampling_ratio":
            return values["model.roi.op"] not in ("pool", "precise")
        case "focal_alpha" | "focal_gamma":
            return values["model.box_head.class_loss"] == "focal"
    head = values["model.box_head.name"]
    match name:
        case "model.neck.channels" | "model.neck.norm":
            return values["model.neck.name"] == "fpn"
        case "model.box_head.channels":
            return head != "res5"
        case "model.box_head.conv_channels" | "model.box_head.convs" | "model.box_head.norm":
            return head == "conv_fc"
    return True

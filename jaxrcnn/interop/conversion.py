"""The model that a detector's weight file is of: what the file says, and what is assumed."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.config_io import field_values
from jaxrcnn.interop.architecture import replace_groups, with_architecture
from jaxrcnn.interop.buffers import fields_of
from jaxrcnn.interop.families import LOGITS
from jaxrcnn.interop.models import Model
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.of_detectron2 import DETECTRON2_RGB
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.published import is_published
from jaxrcnn.interop.sources import detector_peer

SHAPES = (
    *("num_classes", "backbone.name", "backbone.width", "neck.channels"),
    *("roi.output_size", "box_head.channels"),
)
"""Fields that the shapes of the tensors tell, so that no other value would fit."""

EPSILON = 1e-5
"""That of every norm of torchvision's but those of COCO_V1 with a ResNet-50."""


class Told(NamedTuple):
    """What a file says of its model."""

    peer: Peer
    config: Config  # the named model's, with what the file says
    named: ModelConfig  # the named model's own, of as many classes
    buffers: Mapping[str, Any]  # the fields of the model that are in the file as such


def read_model(tensors: Tensors, name: str, model: Model, input_format: str = "") -> Told:
    """The config of a detector by its name and its file.

    Args:
        tensors: of the detector.
        name: of the model, for an error.
        model: of this name.
        input_format: "RGB" or "BGR", of a Detectron2 model; empty where the file tells.

    Raises:
        ConfigError: the file is of another model, or of none that is known here.
    """
    if input_format and model.peer == "torchvision":
        raise ConfigError(f"--input-format: {name} is torchvision's, whose models take RGB")
    peer = detector_peer(tensors, input_format)
    if (peer is TORCHVISION) != (model.peer == "torchvision"):
        raise ConfigError(f"--model {name} is {model.peer}'s, the file is of {peer.title}")
    if LOGITS not in tensors:
        raise ConfigError(f"it has no {LOGITS}, so it is not a Faster R-CNN with a second stage")
    config = model.config(len(tensors[LOGITS]) - 1)
    found = with_architecture(tensors, peer, config.model)
    backbone = found.backbone
    if (backbone.name, backbone.norm) != ("resnet50", "frozen"):
        found = replace_groups(found, {"backbone.norm_epsilon": EPSILON})
    try:
        is_detectron2 = model.peer == "detectron2"
        buffers = fields_of(tensors, peer is DETECTRON2_RGB) if is_detectron2 else {}
    except ConfigError as error:
        raise ConfigError(f"{error}; {name} has {_anchors(config.model)}") from None
    found = replace_groups(found, dict(buffers))
    return Told(peer, dataclasses.replace(config, model=found), config.model, buffers)


def check_fields(told: Told, config: Config) -> None:
    """Stop where fields that were set by hand are not those of the file's shapes.

    Raises:
        ConfigError: such a field has another value.
    """
    file, here = field_values(told.config.model), field_values(config.model)
    for name in SHAPES:
        if here[name] != file[name]:
            raise ConfigError(f"--config.model.{name} {here[name]}: the file has {file[name]}")


def describe_model(told: Told, config: Config, path: pathlib.Path) -> list[str]:
    """Lines that say what the file told of the model, and what is assumed.

    Args:
        told: by the file.
        config: of the model as it is converted, with the fields that were set by hand.
        path: of the file.
    """
    named, file, here = map(field_values, (told.named, told.config.model, config.model))
    lines = [
        _line("told by the file", f"model.{name} {x} (the named model has {named[name]})")
        for name, x in file.items()
        if x != named[name] and x == here[name] and name != "backbone.norm_epsilon"
    ]
    lines += [
        _line("not as in the file", f"model.{name} {here[name]}, the file has {x}")
        for name, x in told.buffers.items()
        if x != here[name]
    ]
    same = [f"model.{name}" for name, x in told.buffers.items() if x == named[name] == here[name]]
    if same:
        lines.append(_line("as in the file", f"{', '.join(same)} of the named model"))
    return lines + _assumptions(told, config.model, path)


def _assumptions(told: Told, model: ModelConfig, path: pathlib.Path) -> list[str]:
    """A line for each field that the numbers depend on and that no file says."""
    lines = []
    if told.peer is TORCHVISION and model.backbone.norm in ("frozen", "batch"):
        lines.append(_epsilon(model, path))
    if "anchors.sizes" not in told.buffers:
        lines.append(
            _line(
                "assumed",
                f"{_anchors(model)}, which such a file does not say; convert it with --config if "
                "those of its training were others",
            )
        )
    if told.peer is not TORCHVISION:
        lines += _detectron2_assumptions(told, model)
    return [
        *lines,
        _line(
            "assumed",
            "image sizes, thresholds and limits of the named model; docs/weights.md lists the "
            "fields for those of its training",
        ),
    ]


def _epsilon(model: ModelConfig, path: pathlib.Path) -> str:
    epsilon = f"model.backbone.norm_epsilon {model.backbone.norm_epsilon:g}"
    if (model.backbone.name, model.backbone.norm) != ("resnet50", "frozen"):
        return _line("assumed", f"{epsilon}, torchvision's default")
    if is_published(path, "COCO_V1"):
        return _line("by its hash", f"{epsilon}, as COCO_V1 needs it")
    return _line(
        "assumed",
        f"{epsilon}; it is 0 for a model that was built with weights=COCO_V1, fine-tuned or not, "
        "and 1e-5 for any other: convert it with --config.model.backbone.norm_epsilon 1e-5",
    )


def _detectron2_assumptions(told: Told, model: ModelConfig) -> list[str]:
    rgb = told.peer is DETECTRON2_RGB
    lines = [
        _line("channel order", "RGB" if rgb else "BGR"),
        _line(
            "assumed",
            f"model.box_head.class_loss {model.box_head.class_loss}, as "
            "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE of the named model; sigmoid if it was True",
        ),
    ]
    if model.backbone.name not in ("resnet18", "resnet34"):
        stride = f"model.backbone.stride_in_1x1 {model.backbone.stride_in_1x1}"
        recipe = "; Detectron2's recipe for torchvision's backbones has False" if rgb else ""
        lines.append(
            _line("assumed", f"{stride}, as MODEL.RESNETS.STRIDE_IN_1X1 of the named model{recipe}")
        )
    return lines


def _anchors(model: ModelConfig) -> str:
    anchors = model.anchors
    return f"model.anchors.sizes {anchors.sizes} and model.anchors.ratios {anchors.ratios}"


def _line(kind: str, text: str) -> str:
    return f"  {kind:18}  {text}"

"""Names of the peers' and our fields: the table of the hints, beside that of the docs."""

import pathlib
import re

import pytest

from jaxrcnn.cli.flags import field_flags, read_flags
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import field_types, replace_fields
from jaxrcnn.peer_fields import (
    ABSENT,
    DETECTRON2_KEYS,
    NOTES,
    TORCHVISION_ARGUMENTS,
    TORCHVISION_DEFAULTS,
)

DOCS = pathlib.Path(__file__).parents[1] / "docs" / "weights.md"

# Of FasterRCNN.__init__ and fasterrcnn_resnet50_fpn in torchvision 0.14 and 0.29.
ARGUMENTS = [
    "backbone",
    "num_classes",
    "min_size",
    "max_size",
    "image_mean",
    "image_std",
    "rpn_anchor_generator",
    "rpn_head",
    "rpn_pre_nms_top_n_train",
    "rpn_pre_nms_top_n_test",
    "rpn_post_nms_top_n_train",
    "rpn_post_nms_top_n_test",
    "rpn_nms_thresh",
    "rpn_fg_iou_thresh",
    "rpn_bg_iou_thresh",
    "rpn_batch_size_per_image",
    "rpn_positive_fraction",
    "rpn_score_thresh",
    "box_roi_pool",
    "box_head",
    "box_predictor",
    "box_score_thresh",
    "box_nms_thresh",
    "box_detections_per_img",
    "box_fg_iou_thresh",
    "box_bg_iou_thresh",
    "box_batch_size_per_image",
    "box_positive_fraction",
    "bbox_reg_weights",
    "weights",
    "weights_backbone",
    "trainable_backbone_layers",
    "progress",
]


def test_every_field_is_one_of_ours():
    for fields in (*TORCHVISION_ARGUMENTS.values(), *DETECTRON2_KEYS.values()):
        assert fields
        assert set(fields) <= field_types().keys()


def test_every_argument_of_torchvisions_constructor_is_there():
    assert set(ARGUMENTS) <= TORCHVISION_ARGUMENTS.keys() | ABSENT.keys()
    assert TORCHVISION_DEFAULTS.keys() <= set(ARGUMENTS)
    assert NOTES.keys() <= TORCHVISION_ARGUMENTS.keys() | DETECTRON2_KEYS.keys()


def said(flag):
    with pytest.raises(ConfigError) as error:
        read_flags([(flag, ["1"])], field_flags())
    return str(error.value).removeprefix(f"unknown field {flag}; ")


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("min_size", "torchvision's min_size is --config.data.short_side"),
        ("max_size", "torchvision's max_size is --config.data.long_side"),
        (
            "box_score_thresh",
            "torchvision's box_score_thresh is --config.model.detections.score_threshold",
        ),
        (
            "model.box_nms_thresh",
            "torchvision's box_nms_thresh is --config.model.detections.nms_iou",
        ),
        (
            "num_classes",
            "torchvision's num_classes is --config.model.num_classes (without the background, "
            "which torchvision counts)",
        ),
        ("SOLVER.BASE_LR", "Detectron2's SOLVER.BASE_LR is --config.train.optimizer.learning_rate"),
        ("solver.base_lr", "Detectron2's SOLVER.BASE_LR is --config.train.optimizer.learning_rate"),
        ("base_lr", "Detectron2's SOLVER.BASE_LR is --config.train.optimizer.learning_rate"),
        ("data.min_size", "torchvision's min_size is --config.data.short_side"),
        ("train.IMS_PER_BATCH", "Detectron2's SOLVER.IMS_PER_BATCH is --config.train.batch_size"),
        (
            "MODEL.RPN.NMS_THRESH",
            "Detectron2's MODEL.RPN.NMS_THRESH is --config.model.proposals.nms_iou",
        ),
        (
            "MODEL.RPN.IOU_THRESHOLDS",
            "Detectron2's MODEL.RPN.IOU_THRESHOLDS is --config.model.rpn.background_iou and "
            "--config.model.rpn.foreground_iou",
        ),
        ("MODEL.DEVICE", "Detectron2's MODEL.DEVICE has no field: jax chooses; the"),
        # Our own names go before the ends of keys.
        ("model.box_head", "it is a group of .name, .channels,"),
        ("steps", "did you mean --config.train.steps?"),
        ("proposals.min_size", "did you mean --config.model.proposals.min_size?"),
        ("rpn.smaples", "did you mean --config.model.rpn.samples?"),
    ],
)
def test_a_peers_name_is_answered_with_our_field(flag, hint):
    assert said(f"--config.{flag}").startswith(hint)


def test_a_changed_config_names_our_field_too():
    with pytest.raises(ConfigError) as error:
        replace_fields(Config(), {"min_size": 640})
    assert str(error.value) == "unknown field min_size; torchvision's min_size is data.short_side"


@pytest.mark.parametrize("name", [*TORCHVISION_ARGUMENTS, *DETECTRON2_KEYS])
def test_each_name_has_its_hint(name):
    fields = {**TORCHVISION_ARGUMENTS, **DETECTRON2_KEYS}[name]
    if f"--config.{name}" in field_flags():  # the same name
        return
    hint = said(f"--config.{name}")
    assert all(f"--config.{field}" in hint for field in fields)


def test_the_docs_list_the_same():
    table = DOCS.read_text(encoding="utf-8").partition("## Arguments of the peers")[2]
    listed = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|$", table, re.MULTILINE))
    names = {**TORCHVISION_ARGUMENTS, **DETECTRON2_KEYS, **dict.fromkeys(ABSENT, ())}
    assert listed.keys() == names.keys()
    for name, fields in names.items():
        assert tuple(re.findall(r"`(.+?)`", listed[name])) == fields
        assert (NOTES | ABSENT).get(name, "") in listed[name]

import ast
import dataclasses
import pathlib
import runpy

import pytest

from jaxrcnn import validation
from jaxrcnn.config import ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import config_from_json, config_to_json, field_values
from jaxrcnn.interop import models, published
from jaxrcnn.interop.trained_fields import trained_fields

FOLDER = pathlib.Path(__file__).parents[1] / "configs"
FILES = sorted(FOLDER.glob("*.py"))
NAMES = [file.stem for file in FILES]

DETECTRON2 = {
    "model.pixel_mean": (123.675, 116.28, 103.53),
    "model.pixel_std": (58.395, 57.12, 57.375),
    "model.backbone.norm": "frozen",
    "model.backbone.norm_epsilon": 1e-5,
    "model.backbone.frozen_stages": 2,
    "model.backbone.dilated_res5": False,
    "model.backbone.width": 64,
    "model.neck.norm": "none",
    "model.anchors.rounded": False,
    "model.anchors.spread": False,
    "model.anchors.ratios": (0.5, 1.0, 2.0),
    "model.anchors.offset": 0.0,
    "model.rpn.foreground_iou": 0.7,
    "model.rpn.background_iou": 0.3,
    "model.rpn.low_quality_matches": True,
    "model.rpn.samples": 256,
    "model.rpn.foreground_fraction": 0.5,
    "model.rpn.coder_weights": (1.0, 1.0, 1.0, 1.0),
    "model.rpn.box_loss": "l1",
    "model.rpn.channels": 0,
    "model.rpn.convs": 1,
    "model.rpn.loss_mean": "asked",
    "model.rpn.objectness_weight": 1.0,
    "model.rpn.box_weight": 1.0,
    "model.proposals.score_threshold": 0.0,
    "model.proposals.stop_gradient": True,
    "model.proposals.nms_iou": 0.7,
    "model.proposals.min_size": 0.0,
    "model.proposals.append_ground_truth": True,
    "model.roi.op": "align",
    "model.roi.sampling_ratio": 0,
    "model.box_head.class_agnostic": False,
    "model.box_head.foreground_iou": 0.5,
    "model.box_head.background_iou": 0.0,
    "model.box_head.samples": 512,
    "model.box_head.foreground_fraction": 0.25,
    "model.box_head.coder_weights": (10.0, 10.0, 5.0, 5.0),
    "model.box_head.box_loss": "l1",
    "model.box_head.class_loss": "softmax",
    "model.box_head.dropout": 0.0,
    "model.box_head.class_weight": 1.0,
    "model.box_head.box_weight": 1.0,
    "model.detections.score_threshold": 0.05,
    "model.detections.nms_iou": 0.5,
    "model.detections.min_size": 0.0,
    "model.detections.max_detections": 100,
    "data.short_side": 800,
    "data.long_side": 1333,
    "data.resize": "pillow",
    "data.horizontal_flip": 0.5,
    "data.vertical_flip": 0.0,
    "data.skip_empty": True,
    "train.batch_size": 16,
    "train.optimizer.name": "sgd",
    "train.optimizer.learning_rate": 0.02,
    "train.optimizer.momentum": 0.9,
    "train.optimizer.weight_decay": 0.0001,
    "train.optimizer.decay_norms": False,
    "train.optimizer.decay_biases": True,
    "train.optimizer.bias_rate_factor": 1.0,
    "train.optimizer.accumulate": 1,
    "train.optimizer.ema_decay": 0.0,
    "train.optimizer.warmup_factor": 0.001,
    "train.optimizer.schedule": "step",
    "train.optimizer.drop_factor": 0.1,
    "train.optimizer.clip_norm": 0.0,
}
COCO = {
    "model.num_classes": 80,
    "data.format": "coco",
    "data.train_splits": ("train2017",),
    "data.eval_split": "val2017",
    "data.train_short_sides": (640, 672, 704, 736, 768, 800),
    "train.optimizer.warmup_steps": 1000,
    "data.keep_difficult": False,
    "eval.metric": "coco",
}
FPN = {
    "model.neck.name": "fpn",
    "model.neck.channels": 256,
    "model.anchors.sizes": ((32,), (64,), (128,), (256,), (512,)),
    "model.proposals.pre_nms_train": 2000,
    "model.proposals.pre_nms_test": 1000,
    "model.proposals.post_nms_train": 1000,
    "model.proposals.post_nms_test": 1000,
    "model.roi.output_size": 7,
    "model.box_head.name": "two_fc",
    "model.box_head.channels": 1024,
}
ONE_MAP = {
    "model.neck.channels": 256,  # of no pyramid
    "model.backbone.name": "resnet50",
    "model.anchors.sizes": ((32, 64, 128, 256, 512),),
    "model.proposals.pre_nms_train": 12000,
    "model.proposals.pre_nms_test": 6000,
    "model.proposals.post_nms_train": 2000,
    "model.proposals.post_nms_test": 1000,
}
C4 = ONE_MAP | {
    "model.neck.name": "c4",
    "model.roi.output_size": 14,
    "model.box_head.name": "res5",
    "model.box_head.channels": 1024,  # of no linear layer
}
ONE_X = {"train.steps": 90000, "train.optimizer.milestones": (60000, 80000)}
THREE_X = {"train.steps": 270000, "train.optimizer.milestones": (210000, 250000)}

EXPECTED = {
    "coco_r50_fpn_1x": DETECTRON2 | COCO | FPN | ONE_X | {"model.backbone.name": "resnet50"},
    "coco_r50_fpn_3x": DETECTRON2 | COCO | FPN | THREE_X | {"model.backbone.name": "resnet50"},
    "coco_r101_fpn_3x": DETECTRON2 | COCO | FPN | THREE_X | {"model.backbone.name": "resnet101"},
    "coco_r50_c4_1x": DETECTRON2 | COCO | C4 | ONE_X,
    "coco_r50_dc5_1x": DETECTRON2
    | COCO
    | ONE_MAP
    | ONE_X
    | {
        "model.neck.name": "c5",
        "model.backbone.dilated_res5": True,
        "model.roi.output_size": 7,
        "model.box_head.name": "two_fc",
        "model.box_head.channels": 1024,
    },
    "voc0712_r50_c4": DETECTRON2
    | C4
    | {
        "model.num_classes": 20,
        "data.format": "voc",
        "data.train_splits": ("VOC2007/trainval", "VOC2012/trainval"),
        "data.eval_split": "VOC2007/test",
        "data.train_short_sides": (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
        "data.keep_difficult": True,
        "train.steps": 18000,
        "train.optimizer.warmup_steps": 100,
        "train.optimizer.milestones": (12000, 16000),
        "eval.metric": "voc07",
    },
    "voc07_vgg16": {
        "model.num_classes": 20,
        "model.pixel_mean": (122.7717, 115.9465, 102.9801),
        "model.pixel_std": (1, 1, 1),
        "model.backbone.name": "vgg16",
        "model.backbone.norm": "none",
        "model.backbone.frozen_stages": 2,
        "model.neck.name": "c5",
        "model.anchors.sizes": ((128, 256, 512),),
        "model.anchors.ratios": (0.5, 1, 2),
        "model.anchors.offset": 0.5,
        "model.rpn.channels": 512,
        "model.rpn.convs": 1,
        "model.rpn.low_quality_matches": True,
        "model.rpn.coder_weights": (1, 1, 1, 1),
        "model.rpn.loss_mean": "drawn",
        "model.rpn.objectness_weight": 1,
        "model.rpn.box_weight": 1,
        "model.proposals.stop_gradient": True,
        "model.proposals.score_threshold": 0,
        "model.proposals.append_ground_truth": True,
        "model.box_head.class_agnostic": False,
        "model.box_head.class_loss": "softmax",
        "model.box_head.class_weight": 1,
        "model.box_head.box_weight": 1,
        "model.detections.min_size": 0,
        "data.train_short_sides": (),
        "data.horizontal_flip": 0.5,
        "data.vertical_flip": 0,
        "data.keep_difficult": False,
        "data.skip_empty": True,
        "model.rpn.foreground_iou": 0.7,
        "model.rpn.background_iou": 0.3,
        "model.rpn.samples": 256,
        "model.rpn.foreground_fraction": 0.5,
        "model.rpn.box_loss": "smooth_l1",
        "model.rpn.box_loss_beta": 1 / 9,
        "model.proposals.pre_nms_train": 12000,
        "model.proposals.pre_nms_test": 6000,
        "model.proposals.post_nms_train": 2000,
        "model.proposals.post_nms_test": 300,
        "model.proposals.nms_iou": 0.7,
        "model.proposals.min_size": 16,
        "model.roi.op": "pool",
        "model.roi.output_size": 7,
        "model.box_head.name": "two_fc",
        "model.box_head.channels": 4096,
        "model.box_head.dropout": 0.5,
        "model.box_head.samples": 128,
        "model.box_head.foreground_fraction": 0.25,
        "model.box_head.foreground_iou": 0.5,
        "model.box_head.background_iou": 0,
        "model.box_head.coder_weights": (10, 10, 5, 5),
        "model.box_head.box_loss": "smooth_l1",
        "model.box_head.box_loss_beta": 1,
        "model.detections.score_threshold": 0.05,
        "model.detections.nms_iou": 0.3,
        "model.detections.max_detections": 100,
        "data.format": "voc",
        "data.train_splits": ("VOC2007/trainval",),
        "data.eval_split": "VOC2007/test",
        "data.short_side": 600,
        "data.long_side": 1000,
        "train.batch_size": 2,  # one image, and iter_size 2
        "train.steps": 70000,
        "train.optimizer.learning_rate": 0.001,
        "train.optimizer.momentum": 0.9,
        "train.optimizer.weight_decay": 0.0005,
        "train.optimizer.decay_biases": False,
        "train.optimizer.bias_rate_factor": 2,
        "train.optimizer.accumulate": 1,
        "train.optimizer.ema_decay": 0,
        "train.optimizer.clip_norm": 0,
        "train.optimizer.name": "sgd",
        "train.optimizer.schedule": "step",
        "train.optimizer.warmup_steps": 0,
        "train.optimizer.milestones": (50000,),
        "train.optimizer.drop_factor": 0.1,
        "eval.metric": "voc07",
    },
    "bccd_r18_fpn": {
        "model.num_classes": 3,
        "model.backbone.name": "resnet18",
        "model.backbone.norm": "group",
        "model.backbone.frozen_stages": 0,
        "model.neck.name": "fpn",
        "model.anchors.sizes": ((16,), (32,), (64,), (128,), (256,)),
        "model.anchors.ratios": (0.5, 1, 2),
        "model.proposals.pre_nms_train": 1000,
        "model.proposals.post_nms_train": 500,
        "model.proposals.pre_nms_test": 500,
        "model.proposals.post_nms_test": 300,
        "model.box_head.samples": 128,
        "data.format": "voc",
        "data.train_splits": ("trainval",),
        "data.eval_split": "test",
        "data.short_side": 240,
        "data.horizontal_flip": 0.5,
        "train.batch_size": 4,
        "train.optimizer.learning_rate": 0.02,
        "train.optimizer.momentum": 0.9,
        "train.optimizer.weight_decay": 0.0001,
        "train.optimizer.clip_norm": 10,
    },
}
"""Hand-written from the peers' own numbers: Detectron2's config/defaults.py and configs/*.yaml,
py-faster-rcnn's config.py and VGG16/faster_rcnn_end2end, and bccd's recipe."""

OURS_ALONE = (
    *("seed", "profile", "eval.batch_size", "eval.images", "model.compute_dtype"),
    *("eval.backend", "eval.max_detections"),
    *(
        "data.max_pixels",
        "data.voc_one_based",
        "data.root",
        "data.classes",
        "data.workers",
        "data.on_error",
        "data.num_",
        "data.canvas",
    ),
    *("data.test_split", "data.val_share", "data.rename", "data.columns", "data.repeat_threshold"),
    *("train.epochs", "train.keep_best", "train.patience", "train.trackers", "train.freeze"),
    "train.optimizer.rate_factors",
    *("data.train_proposals", "data.eval_proposals", "train.diagnostics", "train.alternating"),
    *("data.read_timeout", "train.on_", "train.max_skipped", "train.stop_seconds"),
    *("train.watchdog", "train.mesh"),
    *("train.scheme", "train.log_every", "train.eval_every", "train.checkpoint_"),
    *("train.keep_checkpoints", "train.init", "train.optimizer.reference_batch_size"),
    *("model.proposals.delta_gradient", "model.proposals.pooling_gradient"),
    *("model.proposals.target_gradient", "model.proposals.open_", "model.box_head.mining"),
    *("model.detections.soft_nms", "model.box_head.conv", "model.box_head.norm"),
    "model.rpn.box_loss_beta",  # of an L1 loss
    "model.box_head.box_loss_beta",
    *("model.box_head.focal_", "model.box_head.per_class_weights"),
)
"""How the names begin of fields that the sources do not have, or that do nothing here."""
NOT_THE_SOURCE = {
    # torchvision's weights, which Detectron2's docs give other pixels and strides than MSRA's.
    "detectron2": ("model.backbone.stride_in_1x1",),
    # OpenCV's resizing; anchors rounded to whole pixels in an own way; no norm and no pyramid.
    "voc07_vgg16": (
        *("data.resize", "model.anchors.rounded", "model.anchors.spread", "model.neck"),
        *("model.backbone", "model.roi.sampling_ratio", "train.optimizer.decay_norms"),
        "train.optimizer.warmup_factor",
    ),
}
"""Fields in which a config does not follow its source, or that have no part in it."""

ONE_MAP_FIELDS = {
    "model.neck.name",
    "model.anchors.sizes",
    "model.proposals.pre_nms_train",
    "model.proposals.pre_nms_test",
    "model.proposals.post_nms_train",
}
CHANGES = {
    ("coco_r50_fpn_1x", "coco_r50_fpn_3x"): {"train.steps", "train.optimizer.milestones"},
    ("coco_r50_fpn_3x", "coco_r101_fpn_3x"): {"model.backbone.name"},
    ("coco_r50_fpn_1x", "coco_r50_dc5_1x"): ONE_MAP_FIELDS | {"model.backbone.dilated_res5"},
    ("coco_r50_fpn_1x", "coco_r50_c4_1x"): ONE_MAP_FIELDS
    | {"model.roi.output_size", "model.box_head.name"},
    ("finetune_r50_fpn", "finetune_mobilenet_320_fpn"): {
        "model.backbone.name",
        "model.backbone.norm_epsilon",
        "model.backbone.frozen_stages",
        "model.anchors.sizes",
        "model.proposals.pre_nms_test",
        "model.proposals.post_nms_test",
        "model.proposals.score_threshold",
        "data.short_side",
        "data.long_side",
        "train.init",
        "train.batch_size",
        "eval.batch_size",
    },
    ("coco_r50_c4_1x", "voc0712_r50_c4"): {
        "model.num_classes",
        "data.format",
        "data.train_splits",
        "data.eval_split",
        "data.train_short_sides",
        "data.keep_difficult",
        "train.steps",
        "train.eval_every",
        "train.checkpoint_every",
        "train.optimizer.warmup_steps",
        "train.optimizer.milestones",
        "eval.metric",
    },
}
"""The fields in which a config differs from the one that it changes."""

SCORES = {
    "coco_r50_fpn_1x": "37.9",
    "coco_r50_fpn_3x": "40.2",
    "coco_r101_fpn_3x": "42.0",
    "coco_r50_c4_1x": "35.7",
    "coco_r50_dc5_1x": "37.3",
    "voc0712_r50_c4": "AP 51.9, AP50 80.3",
    "voc07_vgg16": "69.9",
}


def load(name):
    return load_config(FOLDER / f"{name}.py")


def with_root(config):
    return dataclasses.replace(config, data=dataclasses.replace(config.data, root="somewhere"))


def test_the_configs_are_found():
    assert {"shapes", "tiny", *EXPECTED} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_passes_the_check_and_can_be_a_static_argument(name):
    config = with_root(load(name))
    validation.check(config)
    assert hash(config) == hash(with_root(load(name)))
    assert config_from_json(config_to_json(config)) == config


@pytest.mark.parametrize("name", NAMES)
def test_no_config_knows_a_folder_of_some_machine(name):
    config = load(name)
    assert config.data.root == ""
    model, _, weights = config.train.init.partition(":")
    assert config.train.init == "" or published.find(model, weights).kind == "detector"
    if config.data.format != "shapes":
        with pytest.raises(ConfigError, match=r"^data\.root is empty: "):
            validation.check(config)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_numbers_are_the_peers(name):
    values = field_values(load(name))
    assert {field: values[field] for field in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - {"bccd_r18_fpn"}))
def test_no_number_is_left_to_a_default(name):
    source = "voc07_vgg16" if name == "voc07_vgg16" else "detectron2"
    exempt = OURS_ALONE + NOT_THE_SOURCE[source]
    fields = {field for field in field_values(load(name)) if not field.startswith(exempt)}
    assert fields - EXPECTED[name].keys() == set()


@pytest.mark.parametrize(("base", "name"), CHANGES)
def test_a_config_differs_from_its_base_in_what_its_file_says(base, name):
    source = (FOLDER / f"{name}.py").read_text()
    assert f'.with_name("{base}.py")' in source
    there, here = field_values(load(base)), field_values(load(name))
    differing = {field for field in here if here[field] != there[field]}
    assert differing == CHANGES[base, name]
    assert {field for field in here if f'"{field}": ' in source} == differing


@pytest.mark.parametrize("name", ["finetune_r50_fpn", "finetune_mobilenet_320_fpn"])
def test_fine_tuning_has_all_fields_of_the_weights(name):
    """Beside the table of the peers' values in tests/interop, those that a run may choose."""
    config = load(name)
    model, _, _ = config.train.init.partition(":")
    weights = models.find_model(model).config(90)
    assert trained_fields(config) == trained_fields(weights)
    assert config.model.num_classes == 90
    assert config.train.optimizer.reference_batch_size == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_config_runs_alone_from_any_working_directory(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"]() == load(name)
    monkeypatch.chdir(FOLDER.parent)
    assert runpy.run_path(f"configs/{name}.py")["get_config"]() == load(name)


def test_what_needs_no_data_is_small():
    for name, side in (("quickstart", 128), ("shapes", 128), ("tiny", 64)):
        config = load(name)
        assert config.data.format == "shapes"
        assert config.data.short_side == side
        assert config.model.backbone.norm == "group"
        assert config.model.backbone.frozen_stages == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_command_hardware_time_and_score(name):
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert docstring is not None
    heads = [line.split()[0] for line in docstring.splitlines() if line and line[0].isupper()]
    assert [head for head in heads if head in ("Command", "Hardware", "Time", "Score")] == [
        "Command",
        "Hardware",
        "Time",
        "Score",
    ]
    assert "train.py" in docstring
    assert name == "quickstart" or f"configs/{name}.py" in docstring
    assert SCORES.get(name, "") in docstring

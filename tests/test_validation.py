import dataclasses

import pytest

from jaxrcnn.config import AlternatingStep, Config, ConfigError
from jaxrcnn.config_io import config_from_dict, config_to_dict, field_values
from jaxrcnn.validation import (
    AT_LEAST_ONE,
    FROM_ZERO_BELOW_ONE,
    FROM_ZERO_TO_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    check,
)

ONE_MAP = {"model.neck.name": "c4", "model.anchors.sizes": ((32.0, 64.0),)}
DC5 = ONE_MAP | {"model.neck.name": "c5", "model.backbone.dilated_res5": True}
VGG16 = ONE_MAP | {
    "model.neck.name": "c5",
    "model.backbone.name": "vgg16",
    "model.backbone.norm": "none",
}
GIVEN = (
    "does not work with given proposals (data.train_proposals or train.alternating.keep_proposals),"
    " which belong to a single image"
)
RANGED = (*AT_LEAST_ONE, *NOT_NEGATIVE, *POSITIVE, *FROM_ZERO_TO_ONE, *FROM_ZERO_BELOW_ONE)


def make(**changes):
    """The default config on drawn shapes with some fields changed, by dotted name."""
    tree = config_to_dict(Config())
    for name, value in {"data.format": "shapes", **changes}.items():
        *groups, last = name.split(".")
        node = tree
        for group in groups:
            node = node[group]
        assert last in node
        node[last] = value
    return config_from_dict(tree)


def complaint(**changes):
    with pytest.raises(ConfigError) as caught:
        check(make(**changes))
    return str(caught.value)


def like(value, number):
    """A number in the shape of a field's value: in its place, or in a tuple of tuples."""
    if isinstance(value, tuple):
        return tuple(like(item, number) for item in value) or (number,)
    return number


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data.format": "coco", "data.root": "somewhere"},
        {"data.format": "voc", "data.root": "somewhere"},
        ONE_MAP,
        ONE_MAP | {"model.box_head.name": "res5"},
        DC5,
        DC5 | {"model.backbone.name": "resnet18"},
        DC5 | {"model.backbone.dilated_res5": False},
        VGG16,
        {"model.backbone.stride_in_1x1": True},
        {"model.backbone.frozen_stages": 5},
        {"model.backbone.width": 8},
        {"model.roi.op": "warp", "model.roi.sampling_ratio": 1},
        {"model.num_classes": 2, "model.box_head.per_class_weights": (0.0, 1.0, 2.5)},
        {"model.box_head.class_loss": "sigmoid"},
        {"model.box_head.class_loss": "focal", "model.box_head.focal_gamma": 0.0},
        {"model.box_head.mining.keep": 64, "model.box_head.mining.box_weight": 0.0},
        {
            "model.box_head.mining.max_negatives_per_positive": 3.0,
            "model.box_head.mining.min_negatives_per_image": 1,
        },
        {"model.roi.op": "pool", "model.roi.sampling_ratio": 0},
        {"model.rpn.foreground_iou": 0.5, "model.rpn.background_iou": 0.5},
        {"model.rpn.box_loss": "giou"},
        {"model.num_classes": 2, "data.classes": ("a", "b")},
        {"data.short_side": 64, "data.long_side": 64},
        {"data.augment": ("mosaic()", "iou_crop()"), "train.alternating.keep_proposals": True},
        {"train.optimizer.milestones": ()},
        {"train.steps": 10, "train.optimizer.warmup_steps": 1000},
        {"train.optimizer.schedule": "cosine", "train.optimizer.milestones": (1, 2)},
        {"train.optimizer.warmup_steps": 0, "train.optimizer.accumulate": 4},
        {"seed": 2**32 - 1},
    ],
)
def test_what_can_work_passes(changes):
    check(make(**changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model.proposals.pooling_gradient", 0.5),
        ("model.proposals.target_gradient", 0.0),
        ("model.proposals.open_after", 100),
        ("model.proposals.open_over", 100),
        ("model.proposals.delta_gradient.clip", 1 / 512),
        ("model.proposals.delta_gradient.zero_if_clipped", True),
    ],
)
def test_a_closed_gate_has_nothing_to_limit(name, value):
    message = complaint(**{name: value})
    assert message == f"{name}={value} has no effect unless model.proposals.stop_gradient=False"
    check(make(**{name: value, "model.proposals.stop_gradient": False}))


@pytest.mark.parametrize("name", AT_LEAST_ONE)
def test_counts_take_one_and_refuse_zero(name):
    value = field_values(Config())[name]
    message = complaint(**{name: like(value, 0)})
    assert message == f"{name}={like(value, 0)} must be at least 1"


@pytest.mark.parametrize(
    "name", [name for name in NOT_NEGATIVE if isinstance(field_values(Config())[name], int)]
)
def test_whole_numbers_refuse_minus_one(name):
    assert complaint(**{name: -1}) == f"{name}=-1 must be at least 0"


@pytest.mark.parametrize(
    "name", [name for name in NOT_NEGATIVE if isinstance(field_values(Config())[name], float)]
)
def test_factors_take_zero_and_refuse_less(name):
    of_focal_loss = {"model.box_head.class_loss": "focal"} if "focal" in name else {}
    check(make(**{name: 0.0}, **of_focal_loss))
    assert complaint(**{name: -1e-6}) == f"{name}=-1e-06 must be at least 0"


@pytest.mark.parametrize("name", POSITIVE)
def test_divisors_and_sizes_refuse_zero(name):
    value = field_values(Config())[name]
    message = complaint(**{name: like(value, 0.0)})
    assert message == f"{name}={like(value, 0.0)} must be greater than 0"


@pytest.mark.parametrize("name", FROM_ZERO_TO_ONE)
@pytest.mark.parametrize("number", [-0.01, 1.01])
def test_shares_refuse_what_lies_outside_zero_to_one(name, number):
    assert complaint(**{name: number}) == f"{name}={number} must be between 0 and 1"


@pytest.mark.parametrize("name", FROM_ZERO_BELOW_ONE)
@pytest.mark.parametrize("number", [-0.01, 1.0])
def test_decays_refuse_one(name, number):
    assert complaint(**{name: number}) == f"{name}={number} must be at least 0 and less than 1"


@pytest.mark.parametrize(
    "name", [name for name, value in field_values(Config()).items() if isinstance(value, float)]
)
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_field_takes_nan_or_infinity(name, number):
    assert complaint(**{name: number}) == f"{name}={number} must be finite"


def test_nan_is_found_in_a_tuple_of_tuples():
    sizes = ((8.0,), (16.0,), (32.0,), (64.0,), (float("nan"),))
    message = complaint(**{"model.anchors.sizes": sizes})
    assert message == f"model.anchors.sizes={sizes} must be finite"


def test_an_evaluation_is_of_a_hundred_detections_at_least():
    check(make(**{"eval.max_detections": 100}))
    message = complaint(**{"eval.max_detections": 99})
    assert message == "eval.max_detections=99 must be at least 100, COCO's limit"


def test_a_number_too_large_for_a_float_is_no_crash():
    check(make(**{"train.steps": 10**400}))


def test_every_number_has_a_range_or_may_be_anything():
    numbers = {
        name
        for name, value in field_values(Config()).items()
        if not isinstance(value, bool | str) and name != "data.train_splits"
    }
    # Those of an alternating step have rules of their own.
    free = {"model.pixel_mean", "model.backbone.width", "data.classes", "train.alternating.steps"}
    free |= {"train.init_restart", "train.freeze", "train.trackers", "data.rename", "data.columns"}
    free |= {"train.optimizer.rate_factors", "data.augment", "data.image_roots"}
    free |= {"eval.max_detections"}  # it has a range of its own
    assert numbers - free == set(RANGED)
    assert len(set(RANGED)) == len(RANGED)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"data.augment": ("photometric()", "mosaik()")},
            "data.augment: 'mosaik()': there is no augmentation 'mosaik'; did you mean mosaic?",
        ),
        (
            {"data.augment": ("mosaic()",), "data.train_proposals": "x.npz"},
            f"data.augment: mosaic {GIVEN}",
        ),
        (
            {
                "data.augment": ("copy_paste()",),
                "train.scheme": "alternating",
                "train.alternating.keep_proposals": True,
            },
            f"data.augment: copy_paste {GIVEN}",
        ),
        ({"seed": 2**32}, "seed=4294967296 must be less than 2**32"),
        (
            {"model.neck.name": "c4"},
            "model.anchors.sizes needs one tuple per feature level: resnet50 with c4 has 1, got 5",
        ),
        (
            {"model.anchors.sizes": ((32.0,),)},
            "model.anchors.sizes needs one tuple per feature level: resnet50 with fpn has 5, got 1",
        ),
        (
            {"model.anchors.sizes": ((8.0,), (16.0,), (32.0,), (64.0,), (128.0, 256.0))},
            "model.anchors.sizes needs the same number of sizes at every level, "
            "got [1, 1, 1, 1, 2]",
        ),
        (
            ONE_MAP | {"model.anchors.sizes": ((),)},
            "model.anchors.sizes needs at least one size per level",
        ),
        ({"model.anchors.ratios": ()}, "model.anchors.ratios needs at least one aspect ratio"),
        (
            VGG16 | {"model.neck.name": "c4"},
            "model.neck.name=c4 does not work with model.backbone.name=vgg16: use c5",
        ),
        (
            {"model.backbone.name": "vgg16"},
            "model.neck.name=fpn does not work with model.backbone.name=vgg16: use c5",
        ),
        (
            {"model.backbone.name": "mobilenet_v3_large"},
            "model.anchors.sizes needs one tuple per feature level: "
            "mobilenet_v3_large with fpn has 3, got 5",
        ),
        (
            ONE_MAP | {"model.backbone.name": "mobilenet_v3_large"},
            "model.neck.name=c4 does not work with model.backbone.name=mobilenet_v3_large: use fpn",
        ),
        (
            VGG16 | {"model.backbone.norm": "group"},
            "model.backbone.norm=group does not work with model.backbone.name=vgg16: use none",
        ),
        (
            VGG16 | {"model.backbone.width": 32},
            "model.backbone.width=32 applies to ResNets only: use 64 with "
            "model.backbone.name=vgg16",
        ),
        (
            VGG16 | {"model.backbone.dilated_res5": True},
            "model.backbone.dilated_res5=True requires a ResNet with model.neck.name=c5, "
            "not vgg16 with c5",
        ),
        (
            {"model.backbone.dilated_res5": True},
            "model.backbone.dilated_res5=True requires a ResNet with model.neck.name=c5, "
            "not resnet50 with fpn",
        ),
        (
            VGG16 | {"model.box_head.name": "res5"},
            "model.box_head.name=res5 requires model.neck.name=c4, not c5",
        ),
        (
            {"model.box_head.name": "res5"},
            "model.box_head.name=res5 requires model.neck.name=c4, not fpn",
        ),
        (
            {"model.backbone.name": "resnet34", "model.backbone.stride_in_1x1": True},
            "model.backbone.stride_in_1x1=True requires the bottleneck blocks of resnet50 or a "
            "larger ResNet, not resnet34",
        ),
        (
            VGG16 | {"model.backbone.stride_in_1x1": True},
            "model.backbone.stride_in_1x1=True requires the bottleneck blocks of resnet50 or a "
            "larger ResNet, not vgg16",
        ),
        (
            {"model.backbone.frozen_stages": 6},
            "model.backbone.frozen_stages=6 must be at most 5",
        ),
        ({"model.backbone.width": 12}, "model.backbone.width=12 must be a positive multiple of 8"),
        ({"model.backbone.width": 0}, "model.backbone.width=0 must be a positive multiple of 8"),
        (
            {"model.rpn.foreground_iou": 0.25},
            "model.rpn.background_iou=0.3 must not exceed model.rpn.foreground_iou=0.25",
        ),
        (
            {"model.box_head.background_iou": 0.6},
            "model.box_head.background_iou=0.6 must not exceed model.box_head.foreground_iou=0.5",
        ),
        (
            {"model.roi.op": "crop_resize", "model.roi.sampling_ratio": 0},
            "model.roi.sampling_ratio=0 does not work with model.roi.op=crop_resize: "
            "use at least 1",
        ),
        (
            {"model.roi.op": "warp", "model.roi.sampling_ratio": 0},
            "model.roi.sampling_ratio=0 does not work with model.roi.op=warp: use at least 1",
        ),
        (
            {"model.box_head.focal_alpha": 0.5},
            "model.box_head.focal_alpha=0.5 has no effect unless model.box_head.class_loss=focal",
        ),
        (
            {"model.box_head.focal_gamma": 1.0, "model.box_head.class_loss": "sigmoid"},
            "model.box_head.focal_gamma=1.0 has no effect unless model.box_head.class_loss=focal",
        ),
        (
            {"model.num_classes": 2, "model.box_head.per_class_weights": (1.0, 2.0)},
            "model.box_head.per_class_weights has 2 weights but needs 3: one for the background, "
            "then one for each of model.num_classes=2",
        ),
        (
            {
                "model.num_classes": 2,
                "model.box_head.per_class_weights": (1.0, 2.0, 3.0),
                "model.box_head.class_loss": "focal",
            },
            "model.box_head.per_class_weights=(1.0, 2.0, 3.0) requires "
            "model.box_head.class_loss=softmax, not focal",
        ),
        (
            {
                "model.box_head.mining.class_weight": 0.0,
                "model.box_head.mining.box_weight": 0.0,
            },
            "model.box_head.mining.class_weight=0 and model.box_head.mining.box_weight=0 leave no "
            "loss to rank proposals by: set at least one of them above 0",
        ),
        (
            {"model.box_head.mining.min_negatives_per_image": 3},
            "model.box_head.mining.min_negatives_per_image=3 has no effect unless "
            "model.box_head.mining.max_negatives_per_positive is above 0",
        ),
        (
            {"data.short_side": 1400},
            "data.short_side=1400 must not exceed data.long_side=1333",
        ),
        (
            {"data.train_short_sides": (640, 1400)},
            "data.train_short_sides=(640, 1400) must not exceed data.long_side=1333",
        ),
        (
            {"model.num_classes": 3, "data.classes": ("a", "b", "a")},
            "data.classes=('a', 'b', 'a') contains a name twice: list each name once",
        ),
        (
            {"data.classes": ("a", "b")},
            "model.num_classes=80 must equal the number of names in data.classes, 2",
        ),
        (
            {"data.format": "coco"},
            "data.root is empty: data.format=coco needs the folder that contains annotations/",
        ),
        (
            {"data.format": "voc"},
            "data.root is empty: data.format=voc needs the folder that contains Annotations/ and "
            "JPEGImages/ (or VOC2007/, for splits such as VOC2007/trainval)",
        ),
        (
            {"data.format": "coco", "data.root": "x", "data.eval_split": "", "data.val_share": 0.0},
            "data.eval_split is empty and data.val_share=0: name the split to evaluate on, or give "
            "the share of the training images to hold out",
        ),
        (
            {"data.format": "coco", "data.root": ("x", "")},
            "data.root is empty: data.format=coco needs the folder that contains annotations/",
        ),
        (
            {"data.format": "coco", "data.root": "x", "data.image_roots": ("",)},
            "data.image_roots contains an empty path: name a folder, such as . for the current one",
        ),
        (
            {"data.format": "coco", "data.root": "x", "data.columns": ("label=class",)},
            "data.columns=('label=class',) requires a table",
        ),
        (
            {"data.format": "coco", "data.root": "x", "data.rename": ("cell",)},
            "data.rename: 'cell' is not of the form OLD=NEW",
        ),
        (
            {"train.optimizer.rate_factors": ("backbone=fast",)},
            "train.optimizer.rate_factors: 'backbone=fast' is not of the form LAYERS=FACTOR, such "
            "as backbone=0.1",
        ),
        (
            {"train.keep_best": "AP"},
            "train.keep_best=AP must name a metric of the evaluation, such as eval/AP",
        ),
        (
            {"train.patience": 3},
            "train.patience=3 has no effect unless train.keep_best names a metric",
        ),
        (
            {
                **{"train.scheme": "alternating", "train.steps": 320000},
                **{"train.keep_best": "eval/AP", "train.patience": 3},
            },
            "train.patience=3 does not work with train.scheme=alternating, whose steps are given "
            "by train.alternating.steps: use 0",
        ),
        (
            {"train.trackers": ("tensorbord",)},
            "train.trackers: 'tensorbord' is unknown, use any of tensorboard, wandb, mlflow",
        ),
        (
            {"train.steps": 3, "train.optimizer.warmup_steps": 0, "train.optimizer.accumulate": 4},
            "train.optimizer.accumulate=4 must not exceed train.steps=3",
        ),
        (
            {"train.optimizer.milestones": (80000, 60000)},
            "train.optimizer.milestones=(80000, 60000) must be in strictly ascending order",
        ),
        (
            {"train.optimizer.milestones": (2000, 2000)},
            "train.optimizer.milestones=(2000, 2000) must be in strictly ascending order",
        ),
        (
            {"train.optimizer.milestones": (500, 2000)},
            "train.optimizer.milestones=(500, 2000) must not be below "
            "train.optimizer.warmup_steps=1000",
        ),
        (
            {"train.steps": 9, "profile.steps": 1, "profile.start": 9},
            "profile.start=9 must be less than train.steps=9",
        ),
        (
            {"train.steps": 9, "profile.steps": 3, "profile.start": 7},
            "profile.steps=3 must be at most 2: profile.start=7 leaves no more of train.steps=9",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_a_line_that_names_the_field(changes, line):
    assert complaint(**changes) == line


def alternating(*steps, total=30, **changes):
    return {
        "train.scheme": "alternating",
        "train.alternating.steps": tuple(map(dataclasses.asdict, steps)),
        "train.steps": total,
        "train.optimizer.warmup_steps": 0,
        **changes,
    }


GIVEN = {"data.train_proposals": "t.npz", "data.eval_proposals": "e.npz"}
RPN, FAST_RCNN = AlternatingStep("rpn", steps=20), AlternatingStep("fast_rcnn", steps=10)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            alternating(RPN, FAST_RCNN, total=31),
            "train.steps=31 must equal 30, the sum of the steps in train.alternating.steps",
        ),
        (alternating(total=1), "train.alternating.steps is empty: give at least one step"),
        (
            alternating(FAST_RCNN, RPN),
            "train.alternating.steps starts with fast_rcnn, which needs proposals: start with rpn, "
            "or set data.train_proposals and data.eval_proposals",
        ),
        (
            alternating(FAST_RCNN, RPN, **{"data.train_proposals": "t.npz"}),
            "data.eval_proposals is empty: train.alternating.steps starts with fast_rcnn, which "
            "needs a file of proposals",
        ),
        (
            alternating(FAST_RCNN, RPN, **{"data.eval_proposals": "e.npz"}),
            "data.train_proposals is empty: train.alternating.steps starts with fast_rcnn, which "
            "needs a file of proposals",
        ),
        (
            alternating(RPN, FAST_RCNN, **GIVEN),
            "data.train_proposals=t.npz requires train.scheme=alternating and "
            "train.alternating.steps that start with fast_rcnn",
        ),
        (
            {"data.eval_proposals": "e.npz"},
            "data.eval_proposals=e.npz requires train.scheme=alternating and "
            "train.alternating.steps that start with fast_rcnn",
        ),
        (
            alternating(dataclasses.replace(RPN, backbone="frozen"), FAST_RCNN),
            "train.alternating.steps: the first step cannot have backbone=frozen, use pretrained "
            "or previous",
        ),
        (
            alternating(dataclasses.replace(RPN, restart=("neck",)), FAST_RCNN),
            "train.alternating.steps: cannot restart 'neck', use backbone, rpn_head, box_head or "
            "a layer in one",
        ),
        (
            alternating(dataclasses.replace(RPN, milestones=(9, 4)), FAST_RCNN),
            "train.alternating.steps: milestones=(9, 4) must be in ascending order and at least "
            "train.optimizer.warmup_steps=0",
        ),
    ],
)
def test_alternating_steps_that_cannot_be(changes, line):
    assert complaint(**changes) == line


def test_alternating_steps_that_can_be():
    check(make(**alternating(RPN, FAST_RCNN)))
    check(make(**alternating(RPN, total=20)))
    check(make(**alternating(FAST_RCNN, total=10, **GIVEN)))
    check(make(**alternating(FAST_RCNN, RPN, FAST_RCNN, total=40, **GIVEN)))

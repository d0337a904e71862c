import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import field_types, field_values
from jaxrcnn.prediction_fields import CHANGEABLE, FIXED, SHORT
from jaxrcnn.prediction_fields import replace_prediction_fields as replace

MODEL = Config()  # its data set has no root, as that of a converted model


def changed(**fields):
    """Names and values of the fields that differ afterwards."""
    before, after = field_values(MODEL), field_values(replace(MODEL, fields))
    return {name: after[name] for name in after if after[name] != before[name]}


def complaint(**fields):
    with pytest.raises(ConfigError) as caught:
        replace(MODEL, fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("score_threshold", 0.01, "model.detections.score_threshold"),
        ("nms_iou", 0.6, "model.detections.nms_iou"),
        ("max_detections", 300, "model.detections.max_detections"),
        ("soft_nms", "linear", "model.detections.soft_nms"),
        ("short_side", 1024, "data.short_side"),
        ("long_side", 2048, "data.long_side"),
        ("resize", "torchvision", "data.resize"),
        ("post_nms_test", 300, "model.proposals.post_nms_test"),
        ("compute_dtype", "bfloat16", "model.compute_dtype"),
        ("detections.min_size", 4, "model.detections.min_size"),
        ("proposals.nms_iou", 0.8, "model.proposals.nms_iou"),
        ("model.proposals.score_threshold", 0.05, "model.proposals.score_threshold"),
    ],
)
def test_a_field_is_set_by_its_name_or_the_end_of_it(name, value, field):
    assert changed(**{name: value}) == {field: value}


def test_no_fields_leave_the_config_whatever_it_is():
    assert replace(MODEL, {}) is MODEL


def test_numbers_of_numpy_are_numbers():
    fields = changed(score_threshold=np.float32(0.25), max_detections=np.int64(7))
    assert fields == {
        "model.detections.score_threshold": 0.25,
        "model.detections.max_detections": 7,
    }
    assert [type(value) for value in fields.values()] == [float, int]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("num_classes", "model.num_classes"),
        ("pixel_mean", "model.pixel_mean"),
        ("pixel_std", "model.pixel_std"),
        ("backbone.name", "model.backbone.name"),
        ("norm_epsilon", "model.backbone.norm_epsilon"),
        ("sizes", "model.anchors.sizes"),
        ("neck.channels", "model.neck.channels"),
        ("rpn.convs", "model.rpn.convs"),
        ("output_size", "model.roi.output_size"),
        ("class_agnostic", "model.box_head.class_agnostic"),
        ("class_loss", "model.box_head.class_loss"),
        ("model.box_head.channels", "model.box_head.channels"),
        ("conv_channels", "model.box_head.conv_channels"),
    ],
)
def test_what_the_weights_depend_on_is_refused_by_name(name, field):
    value = field_values(MODEL)[field]
    assert complaint(**{name: value}) == (
        f"{field} cannot be changed: the weights were trained with {value!r} and depend on it"
    )


@pytest.mark.parametrize("name", ["seed", "train.steps", "frozen_stages", "root", "eval.images"])
def test_what_has_no_effect_is_refused_and_what_has_is_listed(name):
    said = complaint(**{name: 3})
    assert f"{name} has no effect on prediction; model.compute_dtype, " in said
    assert "model.detections.*, data.short_side, " in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("channels", "channels is ambiguous: it may be model.neck.channels or model.rpn.channels"),
        (
            "min_size",
            "min_size is ambiguous: it may be model.proposals.min_size or "
            "model.detections.min_size; torchvision's min_size is data.short_side",
        ),
        ("box_nms_thresh", "box_nms_thresh is not a field; torchvision's box_nms_thresh is "),
        ("max_detection", "did you mean model.detections.max_detections?"),
        ("model.detections.nms_iuo", "did you mean model.detections.nms_iou?"),
        ("step", "step is not a field; model.compute_dtype, "),
    ],
)
def test_a_name_that_means_no_field_or_several_is_refused_with_a_hint(name, said):
    assert said in complaint(**{name: 3})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("score_threshold", 5, "model.detections.score_threshold=5.0 must be between 0 and 1"),
        ("score_threshold", float("nan"), "must be finite"),
        ("score_threshold", "0.5", "model.detections.score_threshold='0.5' is invalid: expected "),
        ("score_threshold", None, "model.detections.score_threshold=None is invalid"),
        ("max_detections", 0, "model.detections.max_detections=0 must be at least 1"),
        ("max_detections", True, "model.detections.max_detections=True is invalid"),
        ("resize", "cubic", "data.resize='cubic' is invalid: expected one of pillow, torchvision"),
        ("short_side", 2000, "data.short_side=2000 must not exceed data.long_side=1333"),
    ],
)
def test_a_value_is_checked_as_in_a_config(name, value, said):
    assert said in complaint(**{name: value})


def test_every_name_of_the_tables_is_that_of_a_field():
    fields = field_types()
    for begin in (*CHANGEABLE, *FIXED):
        assert any(field.startswith(begin) for field in fields), begin
    assert {*SHORT.values()} <= fields.keys()
    both = [f for f in fields if f.startswith(CHANGEABLE) and f.startswith(FIXED)]
    assert both == []


def test_all_else_is_used_by_training_or_its_evaluation():
    """What is in neither table, by hand: a new field has to be put where it belongs."""
    rest = {f for f in field_types() if not f.startswith((*CHANGEABLE, *FIXED))}
    rest = {f for f in rest if f.startswith("model.")}
    assert rest == {
        "model.backbone.frozen_stages",
        *(
            f"model.rpn.{name}"
            for name in (
                *("foreground_iou", "background_iou", "low_quality_matches", "samples"),
                *("foreground_fraction", "box_loss", "box_loss_beta", "loss_mean"),
                *("objectness_weight", "box_weight"),
            )
        ),
        *(
            f"model.proposals.{name}"
            for name in (
                *("stop_gradient", "pooling_gradient", "target_gradient", "open_after"),
                *("open_over", "pre_nms_train", "post_nms_train", "append_ground_truth"),
                *("delta_gradient.clip", "delta_gradient.clip_norm"),
                *("delta_gradient.divide_by_anchor_size", "delta_gradient.zero_if_clipped"),
                "delta_gradient.zero_outside_anchors",
            )
        ),
        *(
            f"model.box_head.{name}"
            for name in (
                *("dropout", "foreground_iou", "background_iou", "samples"),
                *("foreground_fraction", "box_loss", "box_loss_beta", "class_weight"),
                *("focal_alpha", "focal_gamma", "per_class_weights"),
                *("box_weight", "mining.keep", "mining.nms_iou", "mining.class_weight"),
                *("mining.box_weight", "mining.max_negatives_per_positive"),
                "mining.min_negatives_per_image",
            )
        ),
    }

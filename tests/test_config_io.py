import dataclasses
import json
from typing import Literal

import pytest

from jaxrcnn.config import (
    AlternatingStep,
    AnchorConfig,
    Config,
    ConfigError,
    ModelConfig,
    ProfileConfig,
    TrainConfig,
)
from jaxrcnn.config_io import (
    FORMAT_VERSION,
    config_differences,
    config_from_dict,
    config_from_json,
    config_to_dict,
    config_to_json,
    convert,
    describe_type,
    field_types,
    field_values,
    replace_fields,
)


def changed_json(change):
    tree = json.loads(config_to_json(Config()))
    change(tree)
    return json.dumps(tree)


def test_json_and_back_is_the_same_config():
    config = Config(
        seed=7,
        model=ModelConfig(anchors=AnchorConfig(sizes=((8.0, 12.0), (16.0, 24.5)))),
        train=TrainConfig(steps=3, init="runs/a b"),
    )
    back = config_from_json(config_to_json(config))
    assert back == config
    assert hash(back) == hash(config)


def test_json_of_the_first_format_is_read_and_its_names_are_renamed():
    tree = json.loads(config_to_json(Config()))
    del tree["format_version"]
    for group, old, new in (
        ("data", "num_train_pictures", "num_train_images"),
        ("data", "num_eval_pictures", "num_eval_images"),
        ("eval", "pictures", "images"),
    ):
        del tree[group][new]
        tree[group][old] = 3
    with pytest.warns(FutureWarning) as said:
        config = config_from_json(json.dumps(tree), "old/config.json")
    assert [str(warning.message) for warning in said] == [
        "old/config.json: data.num_train_pictures is now called data.num_train_images, "
        "data.num_eval_pictures is now called data.num_eval_images, "
        "eval.pictures is now called eval.images"
    ]
    kept = config.data.num_train_images, config.data.num_eval_images, config.eval.images
    assert kept == (3, 3, 3)


def test_json_of_the_second_format_may_hold_what_was_split_or_removed_and_lacks_what_is_new():
    tree = json.loads(config_to_json(Config()))
    tree["format_version"] = 2
    tree["model"]["detections"]["pre_nms"] = 2000
    del tree["data"]["canvas"]
    optimizer = tree["train"]["optimizer"]
    for name in ("decay_norms", "decay_biases", "bias_rate_factor"):
        del optimizer[name]
    optimizer["decay_norm_and_bias"] = True
    with pytest.warns(FutureWarning) as said:
        config = config_from_json(json.dumps(tree), "old/config.json")
    assert [str(warning.message) for warning in said] == [
        "old/config.json: model.detections.pre_nms no longer exists, "
        "train.optimizer.decay_norm_and_bias is now called train.optimizer.decay_norms and "
        "train.optimizer.decay_biases"
    ]
    assert config.data.canvas == "ladder"
    now = config.train.optimizer
    assert (now.decay_norms, now.decay_biases, now.bias_rate_factor) == (True, True, 1.0)


def test_a_removed_field_is_named_where_it_is_set():
    with pytest.raises(ConfigError, match=r"detections\.pre_nms; it no longer exists"):
        replace_fields(Config(), {"model.detections.pre_nms": 100})


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, "4", None])
def test_json_of_a_later_format_is_refused(version):
    text = changed_json(lambda t: t.update(format_version=version))
    with pytest.raises(
        ConfigError, match=f"format_version={version} was written by a newer"
    ) as got:
        config_from_json(text)
    assert "\n" not in str(got.value)


def test_json_holds_nothing_of_a_profile_but_may():
    config = Config(seed=7, profile=ProfileConfig(3, 5))
    assert "profile" not in json.loads(config_to_json(config))
    assert config_from_json(config_to_json(config)) == Config(seed=7)
    assert config_from_dict(config_to_dict(config)) == config
    assert config_differences(config, Config(seed=7)) == []


def test_json_holds_every_field_by_name():
    tree = json.loads(config_to_json(Config()))
    assert tree["model"]["rpn"]["samples"] == 256
    assert tree["model"]["anchors"]["sizes"] == [[32.0], [64.0], [128.0], [256.0], [512.0]]
    assert tree["data"]["skip_empty"] is True


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t["train"].pop("steps"), "missing field train.steps"),
        (lambda t: t["model"]["rpn"].update(sampels=3), "unknown field model.rpn.sampels"),
        (lambda t: t.update(extra={}), "unknown field extra"),
        (lambda t: t["train"].update(steps="many"), "train.steps='many' is invalid: expected int"),
        (lambda t: t["train"].update(steps=1.5), "train.steps=1.5 is invalid: expected int"),
        (lambda t: t["train"].update(steps=True), "train.steps=True is invalid: expected int"),
        (
            lambda t: t["data"].update(skip_empty=1),
            "data.skip_empty=1 is invalid: expected True or False",
        ),
        (
            lambda t: t["model"]["rpn"].update(box_weight=None),
            "model.rpn.box_weight=None is invalid: expected float",
        ),
        (
            lambda t: t["model"]["neck"].update(name="fpm"),
            "model.neck.name='fpm' is invalid: expected one of fpn, c4, c5",
        ),
        (
            lambda t: t["model"].update(pixel_mean=[1.0, 2.0]),
            "model.pixel_mean=[1.0, 2.0] is invalid: expected 3 float values",
        ),
        (
            lambda t: t["model"]["anchors"].update(sizes=[8.0, 16.0]),
            "model.anchors.sizes=[8.0, 16.0] is invalid: "
            "expected a tuple of tuples such as '((8,), (16, 32))'",
        ),
        (lambda t: t.update(profile={"start": 1}), "missing field profile.steps"),
        (lambda t: t.update(model=3), "model=3 is invalid: expected a group of fields"),
    ],
)
def test_a_broken_tree_is_refused_in_a_line_that_names_the_field(change, line):
    with pytest.raises(ConfigError) as caught:
        config_from_json(changed_json(change))
    assert str(caught.value) == line


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_no_json_object_is_refused_in_one_line(text):
    with pytest.raises(ConfigError) as caught:
        config_from_json(text)
    assert "\n" not in str(caught.value)


def test_a_whole_number_is_a_float_and_a_list_a_tuple():
    text = changed_json(lambda t: t["train"]["optimizer"].update(learning_rate=1, milestones=[3]))
    optimizer = config_from_json(text).train.optimizer
    assert optimizer.learning_rate == 1.0
    assert isinstance(optimizer.learning_rate, float)
    assert optimizer.milestones == (3,)


def test_differences_name_field_and_both_values():
    here = Config(seed=1, train=TrainConfig(steps=2000))
    there = Config(train=TrainConfig(steps=1000, init="a"))
    assert config_differences(there, here) == [
        "seed is 0 there, 1 here",
        "train.steps is 1000 there, 2000 here",
        "train.init is 'a' there, '' here",
    ]
    assert config_differences(here, here) == []


def test_fields_are_replaced_by_name_and_nothing_else_is():
    before = Config(seed=3, train=TrainConfig(init="a"))
    after = replace_fields(
        before,
        {
            "train.steps": 7,
            "train.optimizer.learning_rate": 1,
            "model.anchors.sizes": [[8], [16]],
            "train.alternating.steps": (AlternatingStep("rpn", steps=2), {"trains": "fast_rcnn"}),
        },
    )
    assert config_differences(before, after) == [
        "model.anchors.sizes is ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)) there, "
        "((8.0,), (16.0,)) here",
        f"train.alternating.steps is {before.train.alternating.steps!r} there, "
        f"{(AlternatingStep('rpn', steps=2), AlternatingStep('fast_rcnn'))!r} here",
        "train.steps is 90000 there, 7 here",
        "train.optimizer.learning_rate is 0.02 there, 1.0 here",
    ]
    assert isinstance(hash(after), int)
    assert replace_fields(before, {}) == before


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"train.stepps": 3}, "unknown field train.stepps; did you mean train.steps?"),
        ({"steps": 3, "train.steps": 3}, "unknown field steps"),
        ({"train": TrainConfig()}, "unknown field train; it is a group of train.scheme, "),
        ({"eval.pictures": 3}, "unknown field eval.pictures; it is now called eval.images"),
        ({"train.steps": "many"}, "train.steps='many' is invalid: expected int"),
        (
            {"train.alternating.steps": (TrainConfig(),)},
            "train.alternating.steps=(TrainConfig(",
        ),
    ],
)
def test_a_wrong_name_or_value_is_refused_in_one_line(fields, line):
    with pytest.raises(ConfigError) as caught:
        replace_fields(Config(), fields)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_fields_are_the_leaves_and_types_and_values_agree():
    types, values = field_types(), field_values(Config())
    assert list(types) == list(values)
    assert values["model.proposals.stop_gradient"] is True
    assert types["train.steps"] is int
    assert "model" not in types
    assert not any(map(dataclasses.is_dataclass, values.values()))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (bool, "True or False"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[str, ...], "any number of str values"),
        (tuple[float, float], "2 float values"),
    ],
)
def test_types_are_described_in_words(annotation, words):
    assert describe_type(annotation) == words


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, bool),
        ("1", int),
        (b"a", str),
        (["a"], Literal["a"]),
        ("ab", tuple[str, ...]),
        ((1.0, 2.0, 3.0), tuple[float, float]),
        ((1.0,), tuple[float, float]),
        ((True,), tuple[int, ...]),
    ],
)
def test_values_of_another_type_are_not_converted(value, annotation):
    with pytest.raises(ValueError, match=r"\w"):
        convert(value, annotation)

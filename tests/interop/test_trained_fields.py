"""Which fields of a config differ from those of weights, against the peers' own values."""

import ast
import dataclasses
import functools
import pathlib

import pytest

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import field_values, replace_fields
from jaxrcnn.interop.initial import differences, of_detector
from jaxrcnn.interop.models import MODELS
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.recognition import detector_name
from jaxrcnn.interop.trained_fields import differing, is_strict, trained_fields
from tests.interop.detectors import shape_dict
from tests.interop.peer_values import PEER_VALUES
from tests.interop.test_buffers import three

FOLDER = pathlib.Path(__file__).parents[2] / "configs"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.py"))


@functools.cache
def initial_of(name):
    """The start from weights of a published model, by its tensors' names and shapes."""
    torchvision = name.startswith("fasterrcnn")
    peer, number = (TORCHVISION, 90) if torchvision else (DETECTRON2, 80)
    tensors = shape_dict(peer, MODELS[name].config(number).model)
    if not torchvision:  # the buffers of Detectron2's files: blue first
        std = PEER_VALUES[name]["model.pixel_std"]
        tensors |= {"pixel_mean": three(103.53, 116.28, 123.675), "pixel_std": three(*std[::-1])}
    path = pathlib.Path(__file__)
    found = detector_name(tensors, peer, path)
    if "_320_" in name:  # of which the tensors do not tell it
        assert name in found.line
        found = found._replace(name=name)
    assert found.name == name
    return of_detector(name, path, tensors, found)


@functools.cache
def config_of(name):
    return load_config(FOLDER / f"{name}.py")


def same(one, other):
    """Whether numbers, or tuples of them, are equal to the digits that are shown."""
    if isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("model", PEER_VALUES)
def test_the_differing_fields_are_those_of_the_peers_documentation(model, config):
    here, there = field_values(config_of(config)), PEER_VALUES[model]
    expected = {name: (here[name], value) for name, value in there.items() if here[name] != value}
    lines = differences(initial_of(model), config_of(config))
    assert [line.partition(":")[0] for line in lines] == [x for x in here if x in expected]
    for line in lines:
        name, _, values = line.partition(": ")
        assert values.endswith(" in the weights")
        ours, theirs = values.removesuffix(" in the weights").split(" here | ")
        for text, value in zip((ours, theirs), expected[name], strict=True):
            assert text == str(value) or same(ast.literal_eval(text), value)


def test_the_readmes_config_differs_from_coco_v1_in_14_fields():
    assert (
        len(differences(initial_of("fasterrcnn_resnet50_fpn"), config_of("coco_r50_fpn_1x"))) == 14
    )


@pytest.mark.parametrize("model", PEER_VALUES)
def test_the_published_models_are_as_documented(model):
    fields = initial_of(model).fields
    assert {name: fields[name] for name in PEER_VALUES[model]} == PEER_VALUES[model]


def test_the_tables_have_every_field_that_counts():
    known = set().union(*PEER_VALUES.values())
    strict = {name for name in field_values(Config()) if is_strict(name)}
    assert strict - known == {"model.box_head.focal_alpha", "model.box_head.focal_gamma"}
    assert known <= strict


def changed(**fields):
    return replace_fields(Config(), {k.replace("__", "."): x for k, x in fields.items()})


@pytest.mark.parametrize(
    "fields",
    [
        {"model__num_classes": 3},
        {"model__backbone__frozen_stages": 0},
        {"model__compute_dtype": "bfloat16"},
        {"model__box_head__dropout": 0.5},
        {"model__box_head__mining__keep": 64},
        {"model__proposals__stop_gradient": False},
        {"model__detections__score_threshold": 0.3, "model__detections__max_detections": 7},
        {"data__short_side": 320, "data__long_side": 400, "data__train_short_sides": (300,)},
        {"train__steps": 5, "data__horizontal_flip": 0.0},
        {"model__rpn__channels": 256},  # as many as the pyramid has
        {"model__rpn__box_loss_beta": 0.5},  # of an L1 loss
        {"model__box_head__convs": 2},  # of a head without convolutions
    ],
)
def test_what_a_run_chooses_for_itself_does_not_differ(fields):
    assert differing(trained_fields(Config()), changed(**fields)) == []


def test_sizes_and_thresholds_are_taken_all_the_same():
    fields = trained_fields(changed(data__short_side=320, model__detections__nms_iou=0.3))
    assert fields["data.short_side"] == 320
    assert fields["model.detections.nms_iou"] == 0.3
    assert not {"model.num_classes", "model.compute_dtype", "data.root"} & fields.keys()
    assert not any(name.startswith(("train.", "model.box_head.mining")) for name in fields)


def test_a_beta_matters_where_the_weights_were_trained_with_one():
    huber = changed(model__rpn__box_loss="huber", model__rpn__box_loss_beta=0.5)
    both = ["model.rpn.box_loss", "model.rpn.box_loss_beta"]
    assert differing(trained_fields(huber), Config()) == both
    assert differing(trained_fields(Config()), huber) == both[:1]


def test_data_that_is_not_about_pixels_is_never_compared():
    data = DataConfig(format="shapes", classes=("a",), vertical_flip=0.5)
    assert differing(trained_fields(Config()), dataclasses.replace(Config(), data=data)) == []

"""The names of the modules, their norms, and the probe behind a backbone."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.config import BackboneConfig, NeckConfig
from jaxrcnn.detector import build, init
from jaxrcnn.training.modules import OFFSETS, Probe, is_in, module_norms, module_of, offsets_for
from tests.tiny import FPN_MODEL, MODEL, change, make_variables

VGG = dataclasses.replace(
    change(MODEL, rpn={"convs": 2}),
    backbone=BackboneConfig("vgg16", norm="none", frozen_stages=0),
    neck=NeckConfig("c5"),
)
HEADS = {"rpn/hidden", "rpn/objectness", "rpn/box", "box_head"}


def modules_of(model):
    shapes = jax.eval_shape(lambda key: init(build(model), key)["params"], jax.random.key(0))
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]
    return {module_of([entry.key for entry in path]) for path in paths}


@pytest.mark.parametrize(
    ("model", "backbone"),
    [
        (
            change(FPN_MODEL, backbone={"norm": "group", "width": 32}),
            {"backbone/stem", *(f"backbone/layer{k}" for k in (1, 2, 3, 4)), "neck"},
        ),
        (VGG, {f"backbone/conv{k}" for k in (1, 2, 3, 4, 5)}),
    ],
    ids=["resnet", "vgg"],
)
def test_every_parameter_has_a_module(model, backbone):
    assert modules_of(model) == backbone | HEADS


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("backbone/body/bn1/scale", "backbone/stem"),
        ("backbone/body/layer3_22/bn2/bias", "backbone/layer3"),
        ("backbone/fpn/layer_bn_0/scale", "neck"),
        ("backbone/Conv_0/kernel", "backbone/Conv_0"),  # a fork's
        ("rpn_head/conv_1/kernel", "rpn/hidden"),
        ("box_head/bbox_pred/bias", "box_head"),
    ],
)
def test_modules_by_hand(path, module):
    assert module_of(path.split("/")) == module


def test_norms_add_up_the_squares_of_a_module():
    gradients = {
        "rpn_head": {"conv": {"kernel": np.full((2, 2), 3.0), "bias": np.array([8.0])}},
        "box_head": {"fc6": {"kernel": np.zeros((1, 1))}},
        "features": (np.array([3.0]), np.array([4.0])),
    }
    norms = jax.jit(module_norms)(gradients)
    assert norms == {"rpn/hidden": 10, "box_head": 0, "features": 5}


def test_a_probe_adds_its_offsets_to_the_maps():
    detector = build(MODEL)
    variables = make_variables(detector)
    images = np.random.default_rng(0).normal(size=(1, 32, 48, 3)).astype(np.float32)
    offsets = offsets_for(detector, variables, images)
    assert [x.shape for x in offsets] == [(1, 2, 3, 32)]
    assert not np.any(offsets[0])
    own = {name: variables[name]["backbone"] for name in ("params", "constants", "batch_stats")}
    own["params"] = {**own["params"], OFFSETS: (offsets[0] + 2,)}
    probe = Probe(detector.backbone)

    @jax.jit
    def both(own):
        (map_,), new = probe.apply(own, images, train=True, mutable=["batch_stats"])
        without = {**own, "params": {k: x for k, x in own["params"].items() if k != OFFSETS}}
        (plain,) = detector.backbone.apply(without, images, train=True)
        return map_, plain, new

    map_, plain, new = both(own)
    np.testing.assert_allclose(map_, plain + 2, rtol=1e-6)
    assert new.keys() <= {"batch_stats"}
    assert probe == Probe(build(MODEL).backbone)
    assert hash(probe) == hash(Probe(build(MODEL).backbone))
    assert (probe.strides, probe.roi_levels) == ((16,), 1)


def test_parts_are_whole_names():
    assert is_in("box_head/cls_score/bias", ["box_head/cls_score"])
    assert is_in("box_head/cls_score/bias", ["rpn_head", "box_head"])
    assert not is_in("box_head/cls_score/bias", ["box_head/cls"])
    assert not is_in("box_head/fc6/bias", ["rpn_head"])

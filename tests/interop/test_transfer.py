import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import build
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.transfer import describe, dump, load
from tests.tiny import FPN_MODEL, change, make_variables

MODEL = change(FPN_MODEL, backbone={"norm": "batch"})


@pytest.fixture(scope="module")
def variables():
    return make_variables(build(MODEL))


@pytest.fixture
def tensors(variables):
    return dump(variables, TORCHVISION, MODEL)


def complaint(tensors, model, variables, **options):
    with pytest.raises(ConfigError) as caught:
        load(tensors, TORCHVISION, model, variables, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_dumped_is_loaded(tensors, variables):
    zeros = jax.tree.map(np.zeros_like, variables)
    loaded, account = load(tensors, TORCHVISION, MODEL, zeros)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert len(account.loaded) == len(jax.tree.leaves(variables))
    assert all(x.flags.c_contiguous for x in tensors.values())


def test_a_missing_tensor_stops(tensors, variables):
    del tensors["rpn.head.conv.0.0.bias"]
    said = complaint(tensors, MODEL, variables)
    assert said.startswith("the file has no rpn.head.conv.0.0.bias, which rpn_head/conv/bias")


def test_another_shape_stops(tensors, variables):
    tensors["roi_heads.box_head.fc7.weight"] = np.zeros((16, 17), np.float32)
    said = complaint(tensors, MODEL, variables)
    assert "fc7.weight has the shape (16, 17) in the file, but (16, 16) in this model" in said


def test_an_unknown_tensor_stops_but_that_of_another_head_does_not(tensors, variables):
    tensors["roi_heads.mask_head.0.0.weight"] = np.zeros(3, np.float32)
    _, account = load(tensors, TORCHVISION, MODEL, variables)
    assert "roi_heads.mask_head.0.0.weight" in account.skipped
    assert "roi_heads.mask_head.0.0.weight" not in account.kept
    tensors["backbone.body.layer4.9.conv1.weight"] = np.zeros(3, np.float32)
    said = complaint(tensors, MODEL, variables)
    assert "1 tensor that this model lacks (the first is backbone.body.layer4.9.conv1" in said


def test_statistics_without_a_norm_for_them_say_which_norm_to_take(tensors):
    group = change(MODEL, backbone={"norm": "group"})
    said = complaint(tensors, group, make_variables(build(group)))
    assert said.endswith("bn1.running_mean); set model.backbone.norm to frozen or batch")


def test_a_head_for_other_classes_is_drawn_where_that_is_asked_for(tensors, variables):
    other = dataclasses.replace(MODEL, num_classes=7)
    drawn = make_variables(build(other), seed=1)
    said = complaint(tensors, other, drawn)
    assert "roi_heads.box_predictor." in said
    assert "--config.train.init_restart box_head/cls_score box_head/bbox_pred" in said
    heads = ("box_head/cls_score", "box_head/bbox_pred")
    loaded, account = load(tensors, TORCHVISION, other, drawn, restart=heads)
    assert set(account.restarted) == {f"{head}/{x}" for head in heads for x in ("kernel", "bias")}
    for name in ("cls_score", "bbox_pred"):
        own = drawn["params"]["box_head"][name]["kernel"]
        np.testing.assert_array_equal(loaded["params"]["box_head"][name]["kernel"], own)
    lines = describe(account, TORCHVISION.title)
    assert any("re-initialised" in line and "box_head/cls_score" in line for line in lines)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_named(tensors, variables, value):
    fc6 = tensors["roi_heads.box_head.fc6.weight"].astype(np.float64)
    fc6[0, :2] = value
    tensors["roi_heads.box_head.fc6.weight"] = fc6
    said = complaint(tensors, MODEL, variables)
    assert f"NaN or infinite: roi_heads.box_head.fc6.weight (2 of {fc6.size});" in said


def test_of_many_that_are_not_finite_four_are_named(tensors, variables):
    said = complaint({k: x * np.nan for k, x in tensors.items()}, MODEL, variables)
    assert f"and {len(jax.tree.leaves(variables)) - 4} more tensors" in said


def test_a_part_to_restart_that_is_none_stops(tensors, variables):
    said = complaint(tensors, MODEL, variables, restart=("box_head/cls",))
    assert said == "there is no part box_head/cls to re-initialise"

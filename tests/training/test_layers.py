"""Layers by name: which parameters a name means, and names that mean none."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.layers import (
    check_layers,
    is_frozen,
    is_named,
    names_of,
    rate_factor,
    without_frozen_gradients,
)
from tests.tiny import FPN_MODEL, change, make_variables

PATHS = (
    "backbone/body/conv1/kernel",
    "backbone/body/bn1/scale",
    "backbone/body/layer1_0/conv1/kernel",
    "backbone/body/layer1_1/bn2/bias",
    "backbone/body/layer2_0/conv1/kernel",
    "backbone/fpn/inner_0/kernel",
    "rpn_head/conv/bias",
    "rpn_head/cls_logits/kernel",
    "box_head/fc6/kernel",
    "box_head/cls_score/bias",
)


def config_of(freeze=(), rate_factors=(), model=FPN_MODEL):
    return Config(
        model=model,
        train=TrainConfig(freeze=freeze, optimizer=OptimizerConfig(rate_factors=rate_factors)),
    )


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("backbone/layer1", (2, 3)),
        ("backbone/stem", (0, 1)),
        ("backbone/layer[12]", (2, 3, 4)),
        ("backbone", (0, 1, 2, 3, 4, 5)),
        ("backbone/body/layer1_0", (2,)),
        ("backbone/body/layer1*", (2, 3)),
        ("*/conv1", (0, 2, 4)),
        ("*/bias", (3, 6, 9)),
        ("neck", (5,)),
        ("backbone/fpn", (5,)),
        ("rpn", (6, 7)),
        ("rpn_head", (6, 7)),
        ("rpn/hidden", (6,)),
        ("rpn/objectness", (7,)),
        ("box_head", (8, 9)),
        ("box_head/fc6", (8,)),
        ("box_head/cls_score/bias", (9,)),
        ("box", ()),
        ("backbone/layer", ()),
        ("layer1", ()),
    ],
)
def test_a_name_means_modules_paths_and_patterns(name, places):
    found = tuple(i for i, path in enumerate(PATHS) if is_named(path.split("/"), [name]))
    assert found == places


def test_frozen_stages_and_frozen_layers_are_both_frozen():
    config = config_of(("neck",), model=change(FPN_MODEL, backbone={"frozen_stages": 2}))
    frozen = [path for path in PATHS if is_frozen(path.split("/"), config)]
    assert frozen == [*PATHS[:4], PATHS[5]]


def test_the_last_factor_that_fits_counts():
    config = config_of(rate_factors=("backbone=0.1", "backbone/layer2 = 0.5", "*=1e-2", "neck=2"))
    assert rate_factor(PATHS[4].split("/"), config) == 0.01
    assert rate_factor(PATHS[5].split("/"), config) == 2
    config = config_of(rate_factors=("backbone=0.1", "backbone/layer2 = 0.5"))
    factors = [rate_factor(path.split("/"), config) for path in PATHS]
    assert factors == [0.1] * 4 + [0.5, 0.1] + [1] * 4


def test_no_gradient_reaches_frozen_layers():
    params = make_variables(build(FPN_MODEL))["params"]

    def loss(params):
        kept = without_frozen_gradients(params, config_of(("neck", "box_head/fc6")))
        return sum(x.sum() for x in jax.tree.leaves(kept))

    for path, x in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params)):
        name = "/".join(names_of(path))
        frozen = name.startswith(("backbone/fpn/", "box_head/fc6/"))
        np.testing.assert_array_equal(x, np.full_like(x, 0 if frozen else 1), err_msg=name)


def complaint(config):
    with pytest.raises(ConfigError) as error:
        check_layers(config, make_variables(build(config.model)))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_name_without_a_layer_says_which_there_are():
    said = complaint(config_of(("neck", "backbone/layer9")))
    assert said.startswith("train.freeze: there is no layer 'backbone/layer9'. The modules are ")
    layers = ", ".join(f"backbone/layer{i}" for i in (1, 2, 3, 4))
    named = f"backbone/stem, {layers}, neck, box_head, rpn/box, rpn/objectness, rpn/hidden"
    assert f"The modules are {named}; " in said
    said = complaint(config_of(rate_factors=("neck=0.5", "heads=2")))
    assert said.startswith("train.optimizer.rate_factors: there is no layer 'heads'")


def test_something_is_left_to_train():
    assert complaint(config_of(("backbone", "rpn", "box_head"))).endswith("nothing to train")
    check_layers(config_of(("backbone", "rpn")), make_variables(build(FPN_MODEL)))


def test_statistics_that_would_change_cannot_be_frozen():
    batch = change(FPN_MODEL, backbone={"norm": "batch", "frozen_stages": 2})
    said = complaint(config_of(("backbone/layer2",), model=batch))
    assert "backbone/body/layer2_0/" in said
    assert "model.backbone.frozen_stages" in said
    check_layers(config_of(("backbone/layer1",), model=batch), make_variables(build(batch)))
    frozen = change(FPN_MODEL, backbone={"norm": "frozen"})
    check_layers(config_of(("backbone/layer2",), model=frozen), make_variables(build(frozen)))

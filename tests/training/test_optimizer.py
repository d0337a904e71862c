"""The optimiser against plain numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrcnn.config import BackboneConfig, Config, ModelConfig, OptimizerConfig, TrainConfig
from jaxrcnn.training.optimizer import (
    build_optimizer,
    default_optimizer,
    learning_rate,
    rate_at,
    update_now,
    with_rate,
)


def config_of(frozen_stages=0, batch_size=16, steps=100, **fields):
    optimizer = OptimizerConfig(
        **{"warmup_steps": 0, "milestones": (), "learning_rate": 0.1, **fields}
    )
    return Config(
        model=ModelConfig(backbone=BackboneConfig("resnet18", frozen_stages=frozen_stages)),
        train=TrainConfig(batch_size=batch_size, steps=steps, optimizer=optimizer),
    )


PARAMS = {
    "backbone": {
        "body": {
            "conv1": {"kernel": np.full((1, 2), 2.0, np.float32)},
            "layer4_0": {"bias": np.full(2, 3.0, np.float32)},
        }
    },
    "rpn_head": {
        "conv": {"kernel": np.array([[1.0, -2.0]], np.float32)},
        "norm": {"scale": np.full(2, 3.0, np.float32), "bias": np.full(2, 3.0, np.float32)},
    },
}


def run(config, gradients, own=default_optimizer, first_step=0):
    """The parameters after some steps of given gradients."""
    optimizer = build_optimizer(config, first_step, own)
    params, state = jax.tree.map(jnp.asarray, PARAMS), optimizer.init(PARAMS)

    @jax.jit
    def step(params, state, gradients):
        updates, state = optimizer.update(gradients, state, params)
        return jax.tree.map(jnp.add, params, updates), state

    for gradient in gradients:
        params, state = step(params, state, optax.tree.full_like(params, gradient))
    return params


def test_sgd_adds_decay_to_the_gradient_and_then_momentum():
    config = config_of(momentum=0.9, weight_decay=0.5)
    kernel, momentum = PARAMS["rpn_head"]["conv"]["kernel"].copy(), 0.0
    bias, bias_momentum = 3.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        momentum = gradient + 0.5 * kernel + 0.9 * momentum
        kernel = kernel - 0.1 * momentum
        bias_momentum = gradient + 0.9 * bias_momentum  # biases and norms do not decay
        bias -= 0.1 * bias_momentum
    got = run(config, (1.0, -2.0, 0.5))
    np.testing.assert_allclose(got["rpn_head"]["conv"]["kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(got["backbone"]["body"]["layer4_0"]["bias"], [bias] * 2, rtol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"decay_norms": True}, {"decay_biases": True}])
def test_norms_and_biases_decay_where_asked(fields):
    got = run(config_of(weight_decay=0.5, **fields), (0.0,))
    decayed, still = 3.0 - 0.1 * 0.5 * 3.0, 3.0
    bias = got["backbone"]["body"]["layer4_0"]["bias"]
    np.testing.assert_allclose(bias, decayed if "decay_biases" in fields else still, rtol=1e-6)
    for x in got["rpn_head"]["norm"].values():
        np.testing.assert_allclose(x, decayed if "decay_norms" in fields else still, rtol=1e-6)


def test_biases_may_learn_at_another_rate():
    got = run(config_of(momentum=0.0, weight_decay=0.0, bias_rate_factor=2.0), (1.0,))
    np.testing.assert_allclose(got["backbone"]["body"]["layer4_0"]["bias"], 2.8, rtol=1e-6)
    np.testing.assert_allclose(got["rpn_head"]["norm"]["bias"], 2.9, rtol=1e-6)
    np.testing.assert_allclose(got["rpn_head"]["conv"]["kernel"], [[0.9, -2.1]], rtol=1e-6)


def test_adamw_decays_beside_the_scaled_gradient():
    got = run(config_of(name="adamw", weight_decay=0.5), (3.0,))
    # The first step of Adam is the gradient's sign.
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    expected = kernel - 0.1 * (1.0 + 0.5 * kernel)
    np.testing.assert_allclose(got["rpn_head"]["conv"]["kernel"], expected, rtol=1e-5)


def test_frozen_stages_stay_and_do_not_decay():
    got = run(config_of(frozen_stages=2, weight_decay=0.5), (1.0, 1.0))
    body = got["backbone"]["body"]
    np.testing.assert_array_equal(body["conv1"]["kernel"], np.full((1, 2), 2.0))
    assert (np.asarray(body["layer4_0"]["bias"]) < 3.0).all()


def with_train(config, **fields):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **fields))


@pytest.mark.parametrize("own", [default_optimizer, lambda *_: optax.adamw(0.1)])
def test_frozen_layers_stay_under_any_optimizer(own):
    config = with_train(config_of(weight_decay=0.5), freeze=("rpn/hidden",))
    got = run(config, (1.0, 1.0), own)
    jax.tree.map(np.testing.assert_array_equal, got["rpn_head"], PARAMS["rpn_head"])
    assert (np.asarray(got["backbone"]["body"]["conv1"]["kernel"]) < 2.0).all()


def test_frozen_gradients_do_not_count_when_the_norm_is_clipped():
    config = config_of(clip_norm=1.0, momentum=0.0, weight_decay=0.0)
    got = run(with_train(config, freeze=("rpn",)), (5.0,))
    # Four entries of 5 are left: each becomes 1 / 2.
    np.testing.assert_allclose(got["backbone"]["body"]["conv1"]["kernel"], 2.0 - 0.05, rtol=1e-6)


@pytest.mark.parametrize("own", [default_optimizer, lambda *_: optax.sgd(0.1)])
def test_layers_may_learn_at_a_rate_of_their_own(own):
    factors = ("backbone=0.5", "rpn_head/norm=0", "backbone/body/layer4*=2")
    got = run(config_of(momentum=0.0, weight_decay=0.0, rate_factors=factors), (1.0,), own)
    np.testing.assert_allclose(got["backbone"]["body"]["conv1"]["kernel"], 1.95, rtol=1e-6)
    np.testing.assert_allclose(got["backbone"]["body"]["layer4_0"]["bias"], 2.8, rtol=1e-6)
    np.testing.assert_allclose(got["rpn_head"]["conv"]["kernel"], [[0.9, -2.1]], rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, got["rpn_head"]["norm"], PARAMS["rpn_head"]["norm"])


def test_the_decay_of_a_layer_follows_its_rate():
    config = config_of(momentum=0.0, weight_decay=0.5, rate_factors=("rpn=0.1",))
    got = run(config, (0.0,))
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    np.testing.assert_allclose(
        got["rpn_head"]["conv"]["kernel"], kernel * (1 - 0.1 * 0.1 * 0.5), rtol=1e-6
    )


def test_a_factor_of_1_changes_no_state():
    one = build_optimizer(config_of(rate_factors=("rpn=1",))).init(PARAMS)
    other = build_optimizer(config_of()).init(PARAMS)
    assert jax.tree.structure(one) == jax.tree.structure(other)


def test_gradient_is_clipped_by_the_norm_of_all_of_it():
    got = run(config_of(clip_norm=1.0, momentum=0.0, weight_decay=0.0), (5.0,))
    # Ten entries of 5: each becomes 1 / sqrt(10).
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    np.testing.assert_allclose(
        got["rpn_head"]["conv"]["kernel"], kernel - 0.1 / np.sqrt(10), rtol=1e-5
    )


def test_accumulated_batches_are_one_update_of_the_mean_gradient():
    config = config_of(accumulate=2, momentum=0.0, weight_decay=0.0)
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    np.testing.assert_array_equal(run(config, (1.0,))["rpn_head"]["conv"]["kernel"], kernel)
    np.testing.assert_allclose(
        run(config, (1.0, 3.0))["rpn_head"]["conv"]["kernel"], kernel - 0.1 * 2.0, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "step", "expected"),
    [
        ({"warmup_steps": 10, "warmup_factor": 0.2}, 0, 0.02),
        ({"warmup_steps": 10, "warmup_factor": 0.2}, 5, 0.06),
        ({"warmup_steps": 10, "warmup_factor": 0.2}, 10, 0.1),
        ({"warmup_steps": 10, "milestones": (20, 30)}, 19, 0.1),
        ({"warmup_steps": 10, "milestones": (20, 30)}, 20, 0.01),
        ({"warmup_steps": 10, "milestones": (20, 30), "drop_factor": 0.5}, 35, 0.025),
        ({"warmup_steps": 10, "milestones": (20,), "schedule": "constant"}, 99, 0.1),
        ({"warmup_steps": 20, "schedule": "cosine"}, 20, 0.1),
        ({"warmup_steps": 20, "schedule": "cosine"}, 60, 0.05),
        ({"warmup_steps": 20, "schedule": "cosine"}, 100, 0.0),
        ({"reference_batch_size": 8}, 0, 0.2),
        ({"reference_batch_size": 64}, 0, 0.025),
    ],
)
def test_learning_rate_by_hand(fields, step, expected):
    config = config_of(**fields)
    got = jax.jit(lambda step: learning_rate(config, step))(step)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-8)


def test_milestones_count_steps_when_batches_are_accumulated():
    # Updates at steps 2, 4, 6: the third is done at step 4 or later, after the drop.
    config = config_of(accumulate=2, momentum=0.0, weight_decay=0.0, milestones=(4,))
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    got = run(config, (1.0,) * 6)["rpn_head"]["conv"]["kernel"]
    np.testing.assert_allclose(got, kernel - 0.1 - 0.1 - 0.01, rtol=1e-6)


def own_rate(step):
    return 0.5 / (1 + jnp.asarray(step, jnp.float32))


def own(config, first_step):
    every = config.train.optimizer.accumulate
    return optax.sgd(lambda count: own_rate(first_step + count * every))


def rated(config, first_step):
    return with_rate(own(config, first_step), own_rate)


def test_an_optimizer_of_ones_own_is_in_place_of_the_configs():
    config = config_of(momentum=0.9, weight_decay=0.5, clip_norm=1.0)
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    for optimizer in (own, rated):
        got = run(config, (1.0, -2.0), optimizer)["rpn_head"]["conv"]["kernel"]
        np.testing.assert_allclose(got, kernel - 0.5 * 1.0 + 0.25 * 2.0, rtol=1e-6)


def test_an_optimizer_of_ones_own_counts_from_the_first_step():
    kernel = PARAMS["rpn_head"]["conv"]["kernel"]
    got = run(config_of(), (1.0, 1.0), own, first_step=4)["rpn_head"]["conv"]["kernel"]
    np.testing.assert_allclose(got, kernel - 0.5 / 5 - 0.5 / 6, rtol=1e-6)


def test_frozen_stages_and_accumulation_are_around_an_optimizer_of_ones_own():
    got = run(config_of(frozen_stages=2, accumulate=2), (1.0, 3.0), own)
    np.testing.assert_array_equal(got["backbone"]["body"]["conv1"]["kernel"], [[2.0, 2.0]])
    bias = got["backbone"]["body"]["layer4_0"]["bias"]
    np.testing.assert_allclose(bias, [3.0 - 0.5 * 2.0] * 2, rtol=1e-6)
    again = run(config_of(accumulate=2), (1.0, 3.0, 1.0, 1.0), own)  # the second update: step 2
    bias = again["backbone"]["body"]["layer4_0"]["bias"]
    np.testing.assert_allclose(bias, [3.0 - 0.5 * 2.0 - 0.5 / 3] * 2, rtol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_one_update_would_do_is_asked_of_an_optimizer_of_ones_own(accumulate):
    config = config_of(accumulate=accumulate)
    state = build_optimizer(config, 0, own).init(PARAMS)
    gradients = jax.tree.map(np.ones_like, PARAMS)
    got = update_now(config, 0, gradients, state, PARAMS, own)
    expected = jax.tree.map(lambda x: x - 0.5, PARAMS)
    jax.tree.map(np.testing.assert_allclose, got, expected)


def test_a_rate_is_logged_where_the_optimizer_says_one():
    config = config_of(warmup_steps=10, warmup_factor=0.2)
    assert rate_at(config, jnp.asarray(3), own) == {}
    assert rate_at(config, jnp.asarray(3), rated) == {"learning_rate": 0.125}
    assert rate_at(config, jnp.asarray(5), default_optimizer)["learning_rate"] == pytest.approx(
        0.06
    )

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrcnn.config import BackboneConfig, Config, ModelConfig, OptimizerConfig, TrainConfig
from jaxrcnn.training.optimizer import build_optimizer, learning_rate

PLAIN = {
    "learning_rate": 0.1,
    "warmup_steps": 0,
    "schedule": "constant",
    "weight_decay": 0.0,
    "momentum": 0.0,
}
TARGET = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


def make_config(frozen_stages=2, steps=100, batch_size=16, **fields):
    return Config(
        model=ModelConfig(backbone=BackboneConfig("resnet18", frozen_stages=frozen_stages)),
        train=TrainConfig(
            steps=steps, batch_size=batch_size, optimizer=OptimizerConfig(**{**PLAIN, **fields})
        ),
    )


def make_params():
    kernel = np.arange(4, dtype=np.float32).reshape(2, 2)
    layer = {"kernel": kernel, "bias": kernel[0] + 1}
    body = {"conv1": layer, "layer1_0": {"conv1": layer}, "layer2_0": {"conv1": layer}}
    return {"backbone": {"body": body}, "box_head": {"fc6": layer}}


def run(config, gradients_of, steps):
    """Parameters after each step."""
    optimizer = build_optimizer(config)
    params = jax.tree.map(jnp.asarray, make_params())
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    history = []
    for step in range(steps):
        updates, state = update(gradients_of(params, step), state, params)
        params = optax.apply_updates(params, updates)
        history.append(params)
    return history


def quadratic(params, step):
    """The gradient of half the squared distance to TARGET (to its first row for a bias)."""
    return jax.tree.map(lambda x: x - (TARGET if x.ndim == 2 else TARGET[0]), params)


def rates(config, steps):
    return [float(jax.jit(learning_rate, static_argnums=0)(config, step)) for step in steps]


@pytest.mark.parametrize("decay_all", [False, True])
def test_sgd_is_momentum_on_the_decayed_gradient(decay_all):
    config = make_config(momentum=0.9, weight_decay=0.01, decay_norm_and_bias=decay_all)
    history = run(config, quadratic, 3)
    kernel, bias = (make_params()["box_head"]["fc6"][name] for name in ("kernel", "bias"))
    velocities = [np.zeros_like(kernel), np.zeros_like(bias)]
    for params in history:
        velocities[0] = 0.9 * velocities[0] + (kernel - TARGET) + 0.01 * kernel
        velocities[1] = 0.9 * velocities[1] + (bias - TARGET[0]) + 0.01 * decay_all * bias
        kernel, bias = kernel - 0.1 * velocities[0], bias - 0.1 * velocities[1]
        np.testing.assert_allclose(params["box_head"]["fc6"]["kernel"], kernel, 1e-5)
        np.testing.assert_allclose(params["box_head"]["fc6"]["bias"], bias, 1e-5)


def test_adamw_decays_after_the_scaling():
    config = make_config(name="adamw", weight_decay=0.01)
    kernel = make_params()["box_head"]["fc6"]["kernel"]
    first, second = np.zeros_like(kernel), np.zeros_like(kernel)
    for step, params in enumerate(run(config, quadratic, 3), start=1):
        gradient = kernel - TARGET
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scaled = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        kernel = kernel - 0.1 * (scaled + 0.01 * kernel)
        np.testing.assert_allclose(params["box_head"]["fc6"]["kernel"], kernel, 1e-4)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_frozen_stages_neither_move_nor_decay(name):
    config = make_config(name=name, momentum=0.9, weight_decay=0.1, decay_norm_and_bias=True)
    body = run(config, quadratic, 2)[-1]["backbone"]["body"]
    before = make_params()["backbone"]["body"]
    for module in ("conv1", "layer1_0"):
        jax.tree.map(np.testing.assert_array_equal, body[module], before[module])
    for x, y in zip(
        jax.tree.leaves(body["layer2_0"]), jax.tree.leaves(before["layer2_0"]), strict=True
    ):
        assert (np.asarray(x) != y).any()


def test_learning_rate_rises_in_a_line_and_drops_at_the_milestones():
    config = make_config(
        warmup_steps=10, warmup_factor=0.1, schedule="step", milestones=(20, 30), drop_factor=0.5
    )
    expected = [0.01, 0.01 + 0.09 * 0.5, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    np.testing.assert_allclose(rates(config, [0, 5, 10, 19, 20, 29, 30, 99]), expected, 1e-5)


def test_learning_rate_follows_half_a_cosine_after_the_warm_up():
    config = make_config(warmup_steps=20, warmup_factor=0.0, schedule="cosine")
    expected = [0, 0.05, 0.1, 0.05 * (1 + math.cos(math.pi / 4)), 0.05, 0.0]
    np.testing.assert_allclose(rates(config, [0, 10, 20, 40, 60, 100]), expected, 1e-5, 1e-8)


def test_learning_rate_is_scaled_by_the_batch_if_asked():
    assert rates(make_config(batch_size=4), [50]) == [pytest.approx(0.1)]
    scaled = make_config(batch_size=4, reference_batch_size=16)
    assert rates(scaled, [50]) == [pytest.approx(0.025)]


def test_gradients_are_cut_to_the_norm_over_all_trained_arrays():
    def constant(params, step):
        return jax.tree.map(lambda x: jnp.full(x.shape, 5.0), params)

    got = run(make_config(clip_norm=1.0), constant, 1)[0]
    before = make_params()
    trained = [tree["box_head"]["fc6"] for tree in (got, before)]
    # Two layers of 6 numbers are trained: the norm is 5 * sqrt(12).
    step = 0.1 / math.sqrt(12)
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(trained[1][name] - trained[0][name], step, 1e-4)


def test_accumulation_averages_the_gradients_before_one_update():
    def alternating(params, step):
        return jax.tree.map(lambda x: jnp.full(x.shape, (1.0, 4.0)[step % 2]), params)

    history = run(make_config(accumulate=2, momentum=0.5), alternating, 4)
    kernel = make_params()["box_head"]["fc6"]["kernel"]
    moved = [0.0, 0.1 * 2.5, 0.1 * 2.5, 0.1 * (2.5 + 1.5 * 2.5)]
    for params, distance in zip(history, moved, strict=True):
        np.testing.assert_allclose(params["box_head"]["fc6"]["kernel"], kernel - distance, 1e-5)


def test_accumulation_keeps_the_schedule_in_batches():
    config = make_config(accumulate=2, schedule="step", milestones=(2,), drop_factor=0.1)
    history = run(config, lambda params, _: jax.tree.map(jnp.ones_like, params), 4)
    kernel = make_params()["box_head"]["fc6"]["kernel"]
    got = [kernel - np.asarray(params["box_head"]["fc6"]["kernel"]) for params in history]
    for x, y in zip(got, [0, 0.1, 0.1, 0.11], strict=True):
        np.testing.assert_allclose(x, y, 1e-4, 1e-6)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.norm import build_norm

X = (np.random.default_rng(0).normal(size=(3, 4, 5, 8)) * 3 + 2).astype(np.float32)
SCALE = np.linspace(0.5, 2, 8).astype(np.float32)
BIAS = np.linspace(-1, 1, 8).astype(np.float32)
AFFINE = {"scale": SCALE, "bias": BIAS}


def initialise(kind, x, **options):
    return jax.jit(build_norm(kind, "norm", "float32", **options).init)(jax.random.key(0), x)


STATISTICS = {"mean": BIAS * 3, "var": SCALE * 2}
FROZEN = {"constants": {**AFFINE, **STATISTICS}}


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5])
@pytest.mark.parametrize("train", [False, True])
def test_frozen_is_a_batch_norm_with_constants(epsilon, train):
    apply = jax.jit(
        build_norm("frozen", "norm", "float32", epsilon=epsilon).apply, static_argnames="train"
    )
    expected = (X - BIAS * 3) / np.sqrt(SCALE * 2 + epsilon) * SCALE + BIAS
    np.testing.assert_allclose(apply(FROZEN, X, train=train), expected, rtol=1e-4, atol=1e-5)


def test_frozen_begins_as_a_standard_normals_and_has_no_parameters():
    variables = initialise("frozen", X)
    assert set(variables) == {"constants"}
    for name, value in {"scale": 1, "bias": 0, "mean": 0, "var": 1}.items():
        np.testing.assert_array_equal(variables["constants"][name], np.full(8, value))


def test_no_gradient_reaches_the_frozen_constants():
    norm = build_norm("frozen", "norm", "float32")
    grads = jax.jit(jax.grad(lambda v: jnp.sum(norm.apply(v, X) ** 2)))(FROZEN)
    assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (48, 16), (64, 32), (7, 1)])
def test_group_norm_standardises_the_groups_of_each_image(channels, groups):
    x = np.random.default_rng(1).normal(size=(2, 3, 4, channels)).astype(np.float32) + 1
    scale, bias = (np.random.default_rng(i).normal(size=channels) for i in (2, 3))
    grouped = x.reshape(2, 12, groups, -1).astype(np.float64)
    mean, var = grouped.mean((1, 3), keepdims=True), grouped.var((1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * scale + bias
    apply = jax.jit(build_norm("group", "norm", "float32").apply)
    got = apply({"params": {"scale": scale, "bias": bias}}, x)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_group_norm_of_a_constant_image_is_the_bias_with_a_finite_gradient():
    norm = build_norm("group", "norm", "float32")
    x = jnp.full((1, 4, 4, 8), 7.0)
    np.testing.assert_allclose(
        jax.jit(norm.apply)({"params": AFFINE}, x), np.broadcast_to(BIAS, x.shape), atol=1e-3
    )
    grad = jax.jit(jax.grad(lambda x: jnp.sum(norm.apply({"params": AFFINE}, x) ** 2)))(x)
    assert np.all(np.isfinite(grad))


def batch_norm_expected(x, mean, var, epsilon=1e-5):
    return (x - mean) / np.sqrt(var + epsilon) * SCALE + BIAS


def test_batch_norm_standardises_over_the_batch_in_training():
    variables = {"params": AFFINE, "batch_stats": initialise("batch", X)["batch_stats"]}
    norm = build_norm("batch", "norm", "float32")
    got, new = jax.jit(lambda v: norm.apply(v, X, train=True, mutable=["batch_stats"]))(variables)
    x = X.astype(np.float64)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(got, batch_norm_expected(x, mean, var), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(new["batch_stats"]["mean"], 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.9 + 0.1 * var, rtol=1e-4)


@pytest.mark.parametrize(("frozen", "train"), [(False, False), (True, False), (True, True)])
def test_batch_norm_keeps_to_the_running_statistics(frozen, train):
    norm = build_norm("batch", "norm", "float32", frozen, epsilon=0.5)
    got, new = jax.jit(lambda v: norm.apply(v, X, train=train, mutable=["batch_stats"]))(
        {"params": AFFINE, "batch_stats": STATISTICS}
    )
    expected = batch_norm_expected(X, STATISTICS["mean"], STATISTICS["var"], epsilon=0.5)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    for name, value in STATISTICS.items():
        np.testing.assert_array_equal(new["batch_stats"][name], value)


def test_initialising_in_training_mode_leaves_the_running_statistics_at_zero_and_one():
    norm = build_norm("batch", "norm", "float32")
    statistics = jax.jit(lambda k: norm.init(k, X, train=True))(jax.random.key(0))["batch_stats"]
    np.testing.assert_array_equal(statistics["mean"], np.zeros(8))
    np.testing.assert_array_equal(statistics["var"], np.ones(8))


@pytest.mark.parametrize("kind", ["group", "batch"])
def test_gradient_agrees_with_finite_differences(kind):
    norm = build_norm(kind, "norm", "float32")
    variables = initialise(kind, X)
    cotangent = np.random.default_rng(4).normal(size=X.shape)
    direction = np.random.default_rng(5).normal(size=X.shape)

    def loss(x):
        y, _ = norm.apply(variables, x, train=True, mutable=["batch_stats"])
        return jnp.sum(y * cotangent)

    slope = np.sum(jax.jit(jax.grad(loss))(X) * direction)
    step = 1e-2
    difference = jax.jit(loss)(X + step * direction) - jax.jit(loss)(X - step * direction)
    np.testing.assert_allclose(slope, difference / (2 * step), rtol=5e-3, atol=1e-2)


@pytest.mark.parametrize("kind", ["group", "batch"])
def test_statistics_of_bfloat16_images_are_taken_in_float32(kind):
    x = jnp.asarray(np.random.default_rng(6).normal(size=(1, 40, 40, 4)) + 8, jnp.bfloat16)
    norm = build_norm(kind, "norm", "bfloat16")
    y = jax.jit(lambda k: norm.init_with_output(k, x, train=True)[0])(jax.random.key(0))
    assert y.dtype == jnp.bfloat16
    # Sums of 1600 eights in bfloat16 would be off by several deviations.
    np.testing.assert_allclose(np.mean(np.asarray(y, np.float32)), 0.0, atol=5e-3)
    np.testing.assert_allclose(np.std(np.asarray(y, np.float32)), 1.0, atol=1e-2)


def test_none_returns_its_input_and_has_no_variables():
    assert initialise("none", X) == {}
    np.testing.assert_array_equal(jax.jit(build_norm("none", "n", "float32").apply)({}, X), X)

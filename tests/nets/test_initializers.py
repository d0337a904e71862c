import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.initializers import (
    HE_NORMAL,
    ONES,
    XAVIER_UNIFORM,
    ZEROS,
    Initializer,
    constant,
    draw,
    normal,
    plan,
)


class Small(nn.Module):
    """Two layers, and an array that is not random."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(40, (3, 3), kernel_init=HE_NORMAL, bias_init=ZEROS, name="conv")(x)
        mean = self.variable("constants", "mean", ONES, (40,), jnp.float32)
        x = x.mean((1, 2)) - mean.value
        return nn.Dense(600, kernel_init=XAVIER_UNIFORM, bias_init=normal(0.5), name="dense")(x)


class Foreign(nn.Module):
    """A layer with flax's own initialisers."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(5, name="dense")(x.mean((1, 2)))


IMAGE = jax.ShapeDtypeStruct((1, 8, 8, 64), jnp.float32)


def draw_small(key):
    return draw({"small": plan(Small(), IMAGE)[0]}, key)["small"]


@pytest.fixture(scope="module")
def drawn():
    return jax.device_get(draw_small(jax.random.key(3)))


def test_the_scale_by_hand():
    kernel = (3, 3, 64, 40)
    assert HE_NORMAL.scale_for(kernel) == pytest.approx(math.sqrt(2 / (9 * 40)))
    assert XAVIER_UNIFORM.scale_for(kernel) == pytest.approx(math.sqrt(3 / (9 * 64)))
    assert normal(0.01).scale_for(kernel) == 0.01


def test_parameters_have_the_distributions_of_their_initializers(drawn):
    kernel, dense = drawn["params"]["conv"]["kernel"], drawn["params"]["dense"]
    assert kernel.shape == (3, 3, 64, 40)
    assert kernel.dtype == np.float32
    deviation = math.sqrt(2 / (9 * 40))  # of 23040 draws: to within 3 parts in 100
    assert kernel.std() == pytest.approx(deviation, rel=0.03)
    assert abs(kernel.mean()) < 4 * deviation / math.sqrt(kernel.size)
    assert np.abs(kernel).max() > 3 * deviation
    limit = math.sqrt(3 / 40)
    assert 0.99 * limit < dense["kernel"].max() <= limit
    assert -limit <= dense["kernel"].min() < -0.99 * limit
    assert dense["kernel"].std() == pytest.approx(limit / math.sqrt(3), rel=0.03)
    assert dense["bias"].std() == pytest.approx(0.5, rel=0.1)
    np.testing.assert_array_equal(drawn["params"]["conv"]["bias"], np.zeros(40))
    np.testing.assert_array_equal(drawn["constants"]["mean"], np.ones(40))


def test_no_two_arrays_share_their_numbers(drawn):
    kernel = drawn["params"]["conv"]["kernel"].ravel() / HE_NORMAL.scale_for((3, 3, 64, 40))
    bias = drawn["params"]["dense"]["bias"] / 0.5
    assert not np.isin(bias.round(5), kernel.round(5)).all()
    assert len(np.unique(kernel)) > 0.99 * kernel.size


def test_the_draw_is_the_keys_alone_traced_or_not(drawn):
    keys = jax.random.split(jax.random.key(9), 2).at[1].set(jax.random.key(3))
    together = jax.jit(jax.vmap(draw_small))(keys)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y[1]), drawn, together)
    kernels = together["params"]["conv"]["kernel"]
    assert not np.array_equal(kernels[0], kernels[1])


def test_a_plan_gives_the_shapes_of_the_outputs():
    _, outputs = plan(Small(), IMAGE)
    assert outputs.shape == (1, 600)


def test_other_initializers_draw_for_themselves():
    each, _ = plan(Foreign(), IMAGE)
    variables = draw({"small": plan(Small(), IMAGE)[0], "foreign": each}, jax.random.key(1))
    kernel = variables["foreign"]["params"]["dense"]["kernel"]
    assert kernel.shape == (64, 5)
    assert 0.08 < np.std(kernel) < 0.18  # flax's lecun_normal: 1 / sqrt(64)
    assert variables["small"]["params"]["conv"]["kernel"].shape == (3, 3, 64, 40)


@pytest.mark.parametrize("initializer", [HE_NORMAL, XAVIER_UNIFORM, ZEROS, ONES, normal(0.1)])
def test_an_initializer_is_also_one_of_flax(initializer):
    array = initializer(jax.random.key(0), (50, 100), jnp.float32)
    assert (array.shape, array.dtype) == ((50, 100), jnp.float32)
    expected = {
        HE_NORMAL: math.sqrt(2 / 100),
        XAVIER_UNIFORM: math.sqrt(1 / 50),
        normal(0.1): 0.1,
    }.get(initializer, 0.0)
    assert np.std(array) == pytest.approx(expected, rel=0.05)
    assert isinstance(initializer, Initializer)


def test_a_constant_is_this_value_everywhere():
    array = constant(-4.5)(jax.random.key(0), (2, 3), jnp.float32)
    np.testing.assert_array_equal(array, np.full((2, 3), -4.5))


def test_he_normal_has_variance_two_over_fan_out():
    kernel = HE_NORMAL(jax.random.key(0), (3, 3, 16, 128), jnp.float32)
    np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / (9 * 128)), rtol=0.03)
    assert np.max(np.abs(kernel)) > 3 * np.std(kernel)  # not truncated


def test_xavier_uniform_fills_the_interval_of_kaiming_uniform_with_a_1():
    kernel = XAVIER_UNIFORM(jax.random.key(0), (3, 3, 16, 64), jnp.float32)
    bound = np.sqrt(3 / (9 * 16))
    assert 0.99 * bound < np.max(np.abs(kernel)) <= bound
    np.testing.assert_allclose(np.std(kernel), bound / np.sqrt(3), rtol=0.03)


class Shared(nn.Module):
    """One layer on two maps: flax traces its initialisers once more for the second."""

    @nn.compact
    def __call__(self, x):
        layer = nn.Dense(5, kernel_init=XAVIER_UNIFORM, bias_init=ZEROS, name="dense")
        return layer(x), layer(x[:, ::2])


def test_no_tracer_leaks_out_of_the_plan():
    with jax.checking_leaks():
        planned, _ = plan(Shared(), IMAGE)
    assert [leaf.initializer for leaf in planned.leaves] == [ZEROS, XAVIER_UNIFORM]

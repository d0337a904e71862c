"""Values pass; gradients are what the name says, by plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.gradient import clip_gradient, clip_gradient_norm, scale_gradient

X = np.array([[3.0, -4.0], [0.1, 0.2], [np.nan, np.inf]], np.float32)
COTANGENT = np.array([[3.0, -4.0], [0.0, 0.0], [0.3, -0.4]], np.float32)


def pull(function, *arguments, cotangent=COTANGENT):
    """The value, and what comes back to x."""

    @jax.jit
    def run(x, *rest):
        value, back = jax.vjp(lambda x: function(x, *rest), x)
        return value, back(cotangent)[0]

    value, gradient = run(jnp.asarray(X), *arguments)
    np.testing.assert_array_equal(value, X)
    return gradient


@pytest.mark.parametrize(
    "factor", [0.25, np.float32(1), np.array([[2.0], [0.0], [1.0]], np.float32)]
)
def test_scale_multiplies_the_gradient(factor):
    np.testing.assert_array_equal(pull(scale_gradient, factor), COTANGENT * factor)


def test_a_factor_of_zero_stops_even_what_is_not_finite():
    wild = np.array([[np.nan, np.inf], [-np.inf, 1], [0, 0]], np.float32)
    np.testing.assert_array_equal(pull(scale_gradient, 0.0, cotangent=wild), 0)


def test_a_traced_factor_compiles_nothing_anew():
    traces = []

    @jax.jit
    def gradient(x, factor):
        traces.append(factor)
        return jax.grad(lambda x: scale_gradient(x, factor).sum())(x)

    for factor in (0.0, 0.5, 1.0):
        np.testing.assert_array_equal(gradient(X, factor), np.full_like(X, factor))
    assert len(traces) == 1


def test_clip_cuts_every_entry():
    expected = [[1.0, -1.0], [0.0, 0.0], [0.3, -0.4]]
    np.testing.assert_allclose(pull(clip_gradient, 1.0), np.float32(expected))


def test_clip_norm_shortens_the_rows_that_are_too_long():
    expected = [[0.6, -0.8], [0.0, 0.0], [0.3, -0.4]]
    np.testing.assert_allclose(pull(clip_gradient_norm, 1.0), np.float32(expected), rtol=1e-6)


@pytest.mark.parametrize("op", [scale_gradient, clip_gradient, clip_gradient_norm])
def test_the_second_derivative_is_that_of_the_gradient(op):
    # f(x) = sum(op(x) ** 3): the gradient is 3 x ** 2, scaled or clipped; its slope in a direction.
    x, direction = np.array([[0.3, -0.2], [2.0, 1.0]]), np.array([[1.0, 2.0], [0.5, -1.0]])
    limit, eps = 0.5, 1e-6

    def gradient(x):
        plain = 3 * x**2
        if op is scale_gradient:
            return limit * plain
        if op is clip_gradient:
            return np.clip(plain, -limit, limit)
        length = np.sqrt((plain**2).sum(1, keepdims=True))
        return plain * np.minimum(1, limit / length)

    with jax.enable_x64(True):
        slope = jax.jit(
            lambda x, d: jax.jvp(jax.grad(lambda x: (op(x, limit) ** 3).sum()), (x,), (d,))[1]
        )(x, direction)
    expected = (gradient(x + eps * direction) - gradient(x - eps * direction)) / (2 * eps)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)

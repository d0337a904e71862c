import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrcnn.runtime.xla import computed_once, jit_once, jit_program

PARAMS = {"a": jnp.ones((256, 256)), "b": jnp.ones((256, 256))}
GRADIENTS = {"a": jnp.full((256, 256), 2.0), "b": jnp.full((256, 256), -1.0)}


def update(settle, params, momentum, gradients):
    """Momentum .9 with decay .1, and a step of .5."""
    momentum = jax.tree.map(lambda m, g, p: 0.9 * m + g + 0.1 * p, momentum, gradients, params)
    momentum = settle(momentum)
    return jax.tree.map(lambda p, m: p - 0.5 * m, params, momentum), momentum


def test_the_arrays_stay_as_they_are_and_have_a_gradient():
    grad = jax.jit(jax.value_and_grad(lambda x: jnp.sum(computed_once({"x": x**2})["x"])))
    value, gradient = grad(jnp.array([1.0, 3.0]))
    assert value == 10
    np.testing.assert_array_equal(gradient, [2, 6])


def test_params_and_momentum_are_updated_as_by_optax():
    ours = jax.jit(functools.partial(update, computed_once))
    params, momentum = PARAMS, jax.tree.map(jnp.zeros_like, PARAMS)
    sgd = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.5, momentum=0.9))
    theirs, state = PARAMS, sgd.init(PARAMS)
    for _ in range(3):
        params, momentum = ours(params, momentum, GRADIENTS)
        updates, state = sgd.update(GRADIENTS, state, theirs)
        theirs = optax.apply_updates(theirs, updates)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), params, theirs)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's CPU backend alone needs it")
def test_no_parameter_is_copied():
    def loss(params, x):
        return jnp.sum(jnp.tanh(x @ params["a"]) @ params["b"])

    def temporary_arrays(settle):
        def step(params, momentum, x):
            return update(settle, params, momentum, jax.grad(loss)(params, x))

        jitted = jax.jit(step, donate_argnums=(0, 1))
        compiled = jitted.lower(PARAMS, PARAMS, jnp.ones((4, 256))).compile()
        return compiled.memory_analysis().temp_size_in_bytes / PARAMS["a"].nbytes

    assert temporary_arrays(computed_once) < 1.5  # a gradient
    # If this fails, XLA has learned to do without, and `computed_once` can go.
    assert temporary_arrays(lambda tree: tree) > 1.9


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends order by themselves")
def test_a_whole_program_holds_no_more_than_it_must_on_a_cpu():
    def sums_of_products(x):
        products = [x @ jnp.roll(x, shift, 0) for shift in range(8)]
        return sum(jnp.sum(jnp.sin(y)) for y in products)

    x = jax.ShapeDtypeStruct((512, 512), jnp.float32)
    program = jit_program(sums_of_products).lower(x).compile()
    assert program.memory_analysis().temp_size_in_bytes < 4 * (4 * 512**2)  # of eight products


def test_what_runs_once_has_the_same_numbers():
    def draw(key, scale):
        return scale * jax.random.truncated_normal(key, -2, 2, (64, 33)), jax.random.normal(
            key, (7,)
        )

    arguments = jax.random.key(3), np.float32(0.1)
    jax.tree.map(
        np.testing.assert_array_equal, jit_once(draw)(*arguments), jax.jit(draw)(*arguments)
    )

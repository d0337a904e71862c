import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.relu import relu


def test_values_and_gradients_by_hand():
    x = jnp.array([-2.0, 0.0, 3.0])
    y, pull_back = jax.vjp(jax.jit(relu), x)
    np.testing.assert_array_equal(y, [0, 0, 3])
    np.testing.assert_array_equal(pull_back(jnp.array([5.0, 7.0, 11.0]))[0], [0, 0, 11])
    _, forward = jax.jit(lambda x: jax.jvp(relu, (x,), (jnp.full(3, 2.0),)))(x)
    np.testing.assert_array_equal(forward, [0, 0, 2])


def test_what_is_not_a_number_stays_so():
    assert np.isnan(jax.jit(relu)(jnp.float32(jnp.nan)))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends order by themselves")
def test_only_its_result_is_kept_for_the_gradient():
    blocks = 8

    def kept(rectify):
        def loss(weights, x):
            for weight in weights:
                x = rectify(2 * (x @ weight) + x)
            return jnp.sum(x)

        weights, x = jnp.zeros((blocks, 16, 16)), jnp.zeros((4096, 16))
        program = jax.jit(jax.grad(loss)).lower(weights, x).compile()
        return program.memory_analysis().temp_size_in_bytes / x.nbytes

    assert kept(relu) < 1.5 * blocks
    # If this fails, XLA has learned to do without, and `computed_once` can go.
    assert kept(jax.nn.relu) > 1.8 * blocks

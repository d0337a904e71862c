import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.max_pool import max_pool

pool = jax.jit(max_pool, static_argnums=(1, 2, 3))


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1)])
@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 2), (1, 2, 3, 1)])
def test_takes_the_largest_value_of_every_window(size, stride, padding, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) - 5  # padding is not zero
    edges = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(x, edges, constant_values=-np.inf)
    height, width = ((side - size) // stride + 1 for side in padded.shape[1:3])
    expected = np.zeros((shape[0], height, width, shape[3]))
    for row in range(height):
        for column in range(width):
            top, left = row * stride, column * stride
            window = padded[:, top : top + size, left : left + size]
            expected[:, row, column] = window.max(axis=(1, 2))
    np.testing.assert_array_equal(pool(x, size, stride, padding), expected)


def test_one_pixel_is_its_own_maximum():
    np.testing.assert_array_equal(pool(np.full((1, 1, 1, 1), -3.0), 3, 2, 1), [[[[-3.0]]]])


def test_gradient_goes_to_the_maxima():
    x = jnp.array([[0.0, 5.0, 1.0], [2.0, 3.0, 4.0]]).reshape(1, 2, 3, 1)
    grad = jax.jit(jax.grad(lambda x: jnp.sum(max_pool(x, 3, 2, 1) * jnp.array([[1.0], [10.0]]))))
    # Two windows of two columns each: both have their largest value in the middle column.
    np.testing.assert_array_equal(grad(x)[0, :, :, 0], [[0, 11, 0], [0, 0, 0]])


def test_equal_maxima_share_the_gradient():
    grad = jax.jit(jax.grad(lambda x: jnp.sum(max_pool(x, 2, 2))))(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(grad[0, :, :, 0], np.full((2, 2), 0.25))

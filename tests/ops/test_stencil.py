import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.ops.stencil import Term, largest, stencil_sum


def powers(step, geometry, constants):
    """Two terms a step: row (place + step) by base ** step, and row `place` by step * base."""
    (base,), (places, counts) = geometry, constants
    taken = step < counts
    shifted = jnp.where(taken, places + step, 0)
    return [
        Term(shifted, jnp.where(taken, base**step, 0)),
        Term(places, jnp.where(taken, step * base, 0)),
    ]


PLACES = np.array([0, 2, 1, 2], np.int32)
COUNTS = np.array([3, 1, 0, 2], np.int32)
BASE = np.array([0.5, 2.0, 3.0, -1.5])
TABLE = np.arange(10.0).reshape(5, 2) ** 2


def powers_by_loops(table, base, places=PLACES, counts=COUNTS):
    result = [jnp.zeros(table.shape[1]) for _ in places]
    for place, (first, count) in enumerate(zip(places, counts, strict=True)):
        for step in range(int(count)):
            result[place] += base[place] ** step * table[first + step]
            result[place] += step * base[place] * table[first]
    return jnp.stack(result)


def powers_sum(table, base, places=PLACES, counts=COUNTS):
    return stencil_sum(powers, table, (base,), (places, counts), largest(counts))


def scalar(f):
    return lambda table, base: jnp.sum(jnp.sin(f(table, base)))


def test_sum_and_gradient_and_its_derivative_equal_those_of_plain_loops():
    tangents = np.ones_like(TABLE), np.array([0.3, -0.2, 0.7, 0.1])
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            jax.jit(powers_sum)(TABLE, BASE), powers_by_loops(TABLE, BASE), rtol=1e-12
        )
        derivatives = [
            jax.jit(lambda p, t, f=f: jax.jvp(jax.grad(scalar(f), (0, 1)), p, t))(
                (TABLE, BASE), tangents
            )
            for f in (powers_sum, powers_by_loops)
        ]
    for ours, plain in zip(*(jax.tree.leaves(part) for part in derivatives), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)


def test_the_gradient_of_many_rows_is_the_same_in_parts():
    places = np.arange(80, dtype=np.int32) % 3
    counts = np.arange(80, dtype=np.int32) % 3
    base = np.linspace(-1.5, 2, 80)
    with jax.enable_x64(True):
        ours, plain = (
            jax.jit(jax.grad(scalar(functools.partial(f, places=places, counts=counts)), (0, 1)))(
                TABLE, base
            )
            for f in (powers_sum, powers_by_loops)
        )
    for mine, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)


def test_under_vmap_each_element_keeps_its_own_number_of_steps():
    counts = np.array([[3, 1, 0, 2], [0, 0, 1, 0]], np.int32)
    with jax.enable_x64(True):

        def value_and_gradient(table, base, counts):
            f = scalar(lambda table, base: powers_sum(table, base, counts=counts))
            return jax.value_and_grad(f, (0, 1))(table, base)

        batched = jax.jit(jax.vmap(value_and_gradient, (None, None, 0)))(TABLE, BASE, counts)
        for element, own in enumerate(counts):
            f = scalar(lambda table, base, own=own: powers_by_loops(table, base, counts=own))
            expected = jax.value_and_grad(f, (0, 1))(jnp.asarray(TABLE), jnp.asarray(BASE))
            for ours, plain in zip(
                jax.tree.leaves(batched), jax.tree.leaves(expected), strict=True
            ):
                np.testing.assert_allclose(ours[element], plain, rtol=1e-9, atol=1e-9)


def test_largest_is_that_of_the_whole_batch_and_zero_of_nothing():
    counts = jnp.array([[[1, 2], [3, 4]], [[9, 0], [5, 6]]])
    assert largest(counts) == 9
    np.testing.assert_array_equal(jax.vmap(largest, out_axes=0)(counts), [9, 9])
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(largest)))(counts), np.full((2, 2), 9))
    assert largest(jnp.zeros(0, jnp.int32)) == 0


def test_a_bfloat16_table_is_summed_in_float32():
    table = jnp.full((5, 2), 1 / 3, jnp.bfloat16)
    counts, places = np.full(1, 1, np.int32), np.zeros(1, np.int32)
    base = jnp.full(1, 0.3, jnp.float32)
    total = powers_sum(table, base, places, counts)
    assert total.dtype == jnp.float32
    gradient = jax.grad(lambda table: powers_sum(table, base, places, counts).sum())(table)
    assert gradient.dtype == jnp.bfloat16

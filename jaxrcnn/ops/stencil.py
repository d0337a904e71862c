"""Weighted sums of table rows, with a number of terms that is known only at run time.

Every interpolating RoI op is such a sum: RoIAlign over samples, PrRoIPool over pixels. Terms are
made one step at a time and never kept, so that memory does not grow with their number, forward or
backward.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Term(NamedTuple):
    """One row of the table for every place of the result."""

    index: Array  # (R, ...) int32, rows of the table
    weight: Array  # (R, ...) float32


Stencil = Callable[[Array, Any, Any], Sequence[Term]]

LARGEST_PART = 32
"""Rows: 1.6 MB of cotangents for 7 x 7 bins and 256 channels."""


@jax.custom_batching.custom_vmap
def largest(counts: Array) -> Array:
    """The largest of a few numbers of steps: () int32, 0 for none.

    Under `jax.vmap` it is the largest of the whole batch. A loop with a bound for each element
    would copy all that it carries at every step, to hold back the elements that are done.
    """
    return jnp.max(counts, initial=0)


@largest.def_vmap
def _largest_of_batch(axis_size: int, in_batched: list[bool], counts: Array) -> tuple[Array, bool]:
    del axis_size, in_batched
    return largest(counts.reshape(-1)), False


def stencil_sum(
    stencil: Stencil, table: Array, geometry: Any, constants: Any, steps: Array | int
) -> Array:
    """Sum weight * table[index] over the terms of all steps.

    It has a gradient in `table` and `geometry`, and that gradient has a derivative in forward mode
    (`jax.jvp` of `jax.grad`); forward mode straight through the sum is not there.

    Args:
        stencil: module-level function (step, geometry, constants) -> terms. Beyond what a place of
            the result needs, its weights are 0.
        table: (T, C), float32 or bfloat16.
        geometry: floating-point arrays (R, ...) that the weights depend on; a pytree.
        constants: integer arrays (R, ...); a pytree.
        steps: () int32.

    Returns:
        (R, ..., C), float32 (float64 where the weights are).
    """
    return _sum_of_steps(stencil, table, geometry, constants, steps)


def _sum_steps(
    stencil: Stencil, table: Array, geometry: Any, constants: Any, steps: Array | int
) -> Array:
    def weighted(term: Term) -> Array:
        return term.weight[..., None] * table[term.index].astype(term.weight.dtype)

    def add_step(step: Array, total: Array) -> Array:
        for term in stencil(step, geometry, constants):
            total += weighted(term)
        return total

    # Zeros like a term vary over the same devices, as shard_map demands of what a loop begins with.
    like = jax.eval_shape(lambda: weighted(stencil(jnp.int32(0), geometry, constants)[0]))
    return jax.lax.fori_loop(0, steps, add_step, jnp.zeros_like(like))


def _forward(
    stencil: Stencil, table: Array, geometry: Any, constants: Any, steps: Array | int
) -> tuple[Array, Any]:
    result = _sum_steps(stencil, table, geometry, constants, steps)
    return result, (table, geometry, constants, steps)


def _backward(stencil: Stencil, residuals: Any, cotangent: Array) -> tuple[Array, Any, None, None]:
    table, geometry, constants, steps = residuals

    on_cpu = functools.partial(
        _gradients, stencil, steps, rows=_rows_in_cache(len(cotangent)), total=_total_by_product
    )
    elsewhere = functools.partial(
        _gradients,
        stencil,
        steps,
        rows=max(len(cotangent), 1),
        total=functools.partial(jnp.sum, axis=-1),
    )
    of_table, of_geometry = jax.lax.platform_dependent(
        table, geometry, constants, cotangent, cpu=on_cpu, default=elsewhere
    )
    return of_table, of_geometry, None, None


def _gradients(
    stencil: Stencil,
    steps: Array | int,
    table: Array,
    geometry: Any,
    constants: Any,
    cotangent: Array,
    *,
    rows: int,
    total: Callable[[Array], Array],
) -> tuple[Array, Any]:
    """Gradients in the table and the geometry, so many rows of the result at a time.

    `total` sums over the last axis.
    """
    # (R, ...) -> (R / rows, rows, ...)
    parts = jax.tree.map(
        lambda x: x.reshape(-1, rows, *x.shape[1:]), (geometry, constants, cotangent)
    )
    add_part = functools.partial(_add_part, stencil, steps, total, table)
    zeros = jnp.zeros_like(cotangent, shape=table.shape)  # of the manual axes of the result
    of_table, of_geometry = jax.lax.scan(add_part, zeros, parts)
    of_geometry = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), of_geometry)
    return of_table.astype(table.dtype), of_geometry


def _add_part(
    stencil: Stencil,
    steps: Array | int,
    total: Callable[[Array], Array],
    table: Array,
    of_table: Array,
    part: tuple[Any, Any, Array],
) -> tuple[Array, Any]:
    """Add the share of some rows to the gradient in the table; their gradient in the geometry."""
    geometry, constants, cotangent = part

    def add_term(of_table: Array, term: Term) -> tuple[Array, Array]:
        of_table = of_table.at[term.index].add(term.weight[..., None] * cotangent)
        return of_table, total(cotangent * table[term.index].astype(cotangent.dtype))

    def add_step(step: Array, gradients: tuple[Array, Any]) -> tuple[Array, Any]:
        of_table, of_geometry = gradients

        def weights(geometry: Any) -> tuple[Array, Array]:
            # (...) a term -> (J, ...)
            terms = jax.tree.map(
                lambda *parts: jnp.stack(parts), *stencil(step, geometry, constants)
            )
            return terms.weight, terms.index

        weight, pull_back, index = jax.vjp(weights, geometry, has_aux=True)
        of_table, of_weights = jax.lax.scan(add_term, of_table, Term(index, weight))
        (step_of_geometry,) = pull_back(of_weights)
        return of_table, jax.tree.map(jnp.add, of_geometry, step_of_geometry)

    zeros = jax.tree.map(lambda x: jnp.zeros_like(cotangent, x.dtype, x.shape), geometry)
    return jax.lax.fori_loop(0, steps, add_step, (of_table, zeros))


def _total_by_product(x: Array) -> Array:
    """Sum over the last axis, which as a matrix product takes XLA's CPU backend half the time."""
    ones = jnp.ones(x.shape[-1], x.dtype)
    return jnp.matmul(x, ones, precision=jax.lax.Precision.HIGHEST)


def _rows_in_cache(rows: int) -> int:
    """Rows of the result whose cotangents a CPU keeps in its cache from term to term."""
    fitting = range(LARGEST_PART // 4, LARGEST_PART + 1)
    return max((part for part in fitting if rows % part == 0), default=rows)


_sum_of_steps = jax.custom_vjp(_sum_steps, nondiff_argnums=(0,))
_sum_of_steps.defvjp(_forward, _backward)

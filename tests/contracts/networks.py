"""Backbone, RPN head and box head."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from tests.contracts.shared import (
    check_static,
    check_statistics,
    check_variables,
    quick_jit,
    run_network,
)


def check_backbone(module: Any, channels: int | None = None) -> None:
    """Check a backbone: strides, maps, collections, and what jit and training need of it.

    Args:
        module: with init, apply, strides and roi_levels, as `jaxrcnn.detector.Detector` wants it.
        channels: of every map, where that is known.
    """
    strides, roi_levels = module.strides, module.roi_levels
    assert isinstance(strides, tuple), "strides is a tuple"
    assert all(isinstance(s, int) and s > 0 for s in strides), "strides are whole pixels"
    assert list(strides) == sorted(set(strides)), "maps come fine to coarse"
    assert isinstance(roi_levels, int), "roi_levels is a number of maps"
    assert 1 <= roi_levels <= len(strides), "roi_levels counts the maps that there are"
    served = strides[:roi_levels]
    assert served[0] & (served[0] - 1) == 0, "the finest stride is a power of two: it has a level"
    doubled = [2 * s for s in served[:-1]]
    assert doubled == list(served[1:]), "of the maps of the box head, each is half the one before"
    check_static(module)

    images = jax.random.normal(jax.random.key(0), (2, 64, 96, 3))
    variables = quick_jit(module.init)(jax.random.key(1), images)
    check_variables(variables)
    for train, size in ((False, (64, 96)), (True, (96, 64))):
        batch = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        maps, new = jax.eval_shape(
            functools.partial(run_network, module, train=train), variables, batch
        )
        _check_maps(maps, strides, size, channels)
        check_statistics(variables, new)
    _check_gradients_of_backbone(module, variables, images)


def _check_maps(maps: Any, strides: tuple[int, ...], size: tuple[int, int], channels: Any) -> None:
    assert isinstance(maps, tuple | list), "it returns a tuple of maps, even of one"
    assert len(maps) == len(strides), "a map for each stride"
    for x, stride in zip(maps, strides, strict=True):
        expected = (2, *(-(-side // stride) for side in size))
        assert x.ndim == 4, "maps are (N, H, W, C)"
        assert x.shape[:3] == expected, f"stride {stride}: {x.shape[:3]}, not {expected}"
        assert x.shape[3] == (channels or maps[0].shape[3]), "every map has the same channels"
        assert x.dtype in (jnp.float32, jnp.bfloat16), "maps are float32 or bfloat16"


def _check_gradients_of_backbone(module: Any, variables: Any, images: Any) -> None:
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    @quick_jit
    def gradients_and_maps(params: Any, images: Any) -> Any:
        def loss(params: Any) -> Any:
            maps, _ = run_network(module, {**rest, "params": params}, images, train=False)
            return sum(jnp.sum(jnp.square(x.astype(jnp.float32))) for x in maps), maps

        return jax.grad(loss, has_aux=True)(params)

    gradients, maps = gradients_and_maps(variables["params"], images)
    _, other = gradients_and_maps(variables["params"], images.at[1].set(0))
    for one, two in zip(maps, other, strict=True):
        assert jnp.isfinite(one).all(), "maps are finite"
        assert jnp.allclose(one[0], two[0], atol=1e-3), "images do not see each other"
    leaves = jax.tree.leaves(gradients)
    assert all(jnp.isfinite(x).all() for x in leaves), "gradients are finite"
    assert any(jnp.any(x != 0) for x in leaves), "something is trained"


def check_rpn_head(module: Any, anchors_per_cell: int, channels: int = 16) -> None:
    """Check an RPN head: answers of every level, collections, and what training needs of it.

    Args:
        module: with init and apply, as `jaxrcnn.detector.Detector` wants it.
        anchors_per_cell: how many anchors there are at a place of a map.
        channels: of the maps that it is given.
    """
    check_static(module)
    maps = tuple(
        jax.random.normal(jax.random.key(i), (2, *size, channels))
        for i, size in enumerate(((8, 12), (4, 6), (2, 3)))
    )
    variables = quick_jit(module.init)(jax.random.key(2), maps)
    check_variables(variables)
    for train, dtype in ((False, jnp.float32), (True, jnp.bfloat16)):
        given = tuple(jax.ShapeDtypeStruct(x.shape, dtype) for x in maps)
        run = functools.partial(run_network, module, train=train)
        answer, new = jax.eval_shape(run, variables, given)
        _check_anchor_answers(answer, maps, anchors_per_cell)
        check_statistics(variables, new)
    _check_network(module, variables, maps, tuple(x.at[1].set(0) for x in maps), rows=1)


def _check_anchor_answers(answer: Any, maps: Any, anchors_per_cell: int) -> None:
    assert isinstance(answer, tuple), "it returns two: logits and deltas"
    assert len(answer) == 2, "it returns two: logits and deltas"
    for name, levels, numbers in zip(("logits", "deltas"), answer, (1, 4), strict=True):
        assert isinstance(levels, tuple | list), f"{name} are a tuple, one for each level"
        assert len(levels) == len(maps), f"{name} are a tuple, one for each level"
        for x, level in zip(levels, maps, strict=True):
            wanted = (*level.shape[:3], numbers * anchors_per_cell)
            assert x.shape == wanted, f"{name} of a level are {wanted}, not {x.shape}"
            assert x.dtype == jnp.float32, f"{name} are float32, not {x.dtype}"


def check_box_head(module: Any, num_classes: int, side: int = 7, channels: int = 16) -> None:
    """Check a box head: answers, collections, and what training needs of it.

    Args:
        module: with init and apply, as `jaxrcnn.detector.Detector` wants it.
        num_classes: K.
        side: of the windows that it is given, config.roi.output_size.
        channels: of the windows.
    """
    check_static(module)
    pooled = jax.random.normal(jax.random.key(0), (6, side, side, channels))
    variables = quick_jit(module.init)(jax.random.key(1), pooled)
    check_variables(variables)
    for train, dtype, number in ((False, jnp.float32, 6), (True, jnp.bfloat16, 10)):
        given = jax.ShapeDtypeStruct((number, *pooled.shape[1:]), dtype)
        run = functools.partial(run_network, module, train=train)
        answer, new = jax.eval_shape(run, variables, given)
        _check_box_answers(answer, number, num_classes)
        check_statistics(variables, new)
    _check_network(module, variables, pooled, pooled.at[3:].set(0), rows=3)


def _check_box_answers(answer: Any, number: int, num_classes: int) -> None:
    assert isinstance(answer, tuple), "it returns two: logits and deltas"
    assert len(answer) == 2, "it returns two: logits and deltas"
    logits, deltas = answer
    wanted = (number, num_classes + 1)
    assert logits.shape == wanted, f"logits are (M, K + 1) = {wanted}, not {logits.shape}"
    shapes = (number, num_classes, 4), (number, 1, 4)
    assert deltas.shape in shapes, f"deltas are (M, K, 4) or (M, 1, 4), not {deltas.shape}"
    for x in answer:
        assert x.dtype == jnp.float32, f"logits and deltas are float32, not {x.dtype}"


def _check_network(module: Any, variables: Any, x: Any, other: Any, rows: int) -> None:
    """Answers and gradients are finite, and the first rows do not depend on the others.

    Args:
        module: a head.
        variables: its own.
        x: what it takes.
        other: the same but for what comes after the first rows.
        rows: how many.
    """
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    @quick_jit
    def gradients_and_answer(params: Any, x: Any) -> Any:
        def loss(params: Any, x: Any) -> Any:
            answer, _ = run_network(module, {**rest, "params": params}, x, train=False)
            return sum(jnp.sum(jnp.square(y)) for y in jax.tree.leaves(answer)), answer

        return jax.grad(loss, (0, 1), has_aux=True)(params, x)

    gradients, answer = gradients_and_answer(variables["params"], x)
    _, second = gradients_and_answer(variables["params"], other)
    for one, two in zip(jax.tree.leaves(answer), jax.tree.leaves(second), strict=True):
        assert jnp.isfinite(one).all(), "answers are finite"
        assert jnp.allclose(one[:rows], two[:rows], atol=1e-4), "rows do not see each other"
    of_params, of_x = (jax.tree.leaves(tree) for tree in gradients)
    assert all(jnp.isfinite(g).all() for g in of_params + of_x), "gradients are finite"
    assert any(jnp.any(g != 0) for g in of_params), "something is trained"
    assert any(jnp.any(g != 0) for g in of_x), "a gradient reaches the features"

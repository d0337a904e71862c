"""RoI ops."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.ops.roi import RoiOp
from tests.contracts.shared import GARBAGE, check_static, quick_jit

MAP_SIZES = ((16, 24), (8, 12))
STRIDES = (4, 8)
BOXES = np.array(
    [
        [10.3, 12.7, 41.9, 50.2],
        [0.0, 0.0, 96.0, 64.0],  # the whole image
        [20.0, 20.0, 20.0, 20.0],  # no area
        [33.5, 17.5, 34.5, 18.5],  # one pixel
        [90.0, 60.0, 96.0, 64.0],  # the last corner
    ],
    np.float32,
)
LEVELS = np.array([0, 1, 0, 1, 0], np.int32)
BOTH_LEVELS = np.concatenate([LEVELS, LEVELS])  # of five real boxes and five padded ones


def check_roi_op(op: RoiOp) -> None:
    """Check a RoI op: shapes, dtypes, levels, padded rows, gradients, jit and vmap."""
    check_static(op)
    features = _random_maps(0)
    for side, ratio in ((7, 2), (1, 1)):
        _check_pooled(op, features, side, ratio)
    pool = quick_jit(_pool_with(op, 3, 2))
    real = pool(features, np.concatenate([BOXES, BOXES]), BOTH_LEVELS)
    assert jnp.isfinite(real).all(), "real boxes give finite numbers"
    _check_garbage_rows(pool, features, real[:5])
    _check_levels(pool, features, real)
    _check_gradients_of_roi_op(_pool_with(op, 3, 2), features)
    _check_vmap(_pool_with(op, 3, 2), pool)


def _pool_with(op: RoiOp, side: int, ratio: int) -> Callable[..., Any]:
    return lambda features, boxes, levels: op(features, STRIDES, boxes, levels, side, ratio)


def _random_maps(seed: int) -> tuple[Any, ...]:
    keys = jax.random.split(jax.random.key(seed), len(MAP_SIZES))
    return tuple(jax.random.normal(k, (*s, 3)) for k, s in zip(keys, MAP_SIZES, strict=True))


def _check_pooled(op: RoiOp, features: Any, side: int, ratio: int) -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        maps = tuple(x.astype(dtype) for x in features)
        out = jax.eval_shape(_pool_with(op, side, ratio), maps, BOXES, LEVELS)
        assert out.shape == (5, side, side, 3), f"(R, P, P, C), not {out.shape}"
        assert out.dtype == dtype, f"of the features' dtype {dtype.__name__}, not {out.dtype}"


def _check_garbage_rows(pool: Callable[..., Any], features: Any, real: Any) -> None:
    """Padded rows change no other row and give nothing that is not a number."""
    out = pool(features, np.concatenate([GARBAGE, BOXES]), BOTH_LEVELS)
    assert jnp.allclose(out[5:], real, atol=1e-5), "a padded row changes no other"
    assert jnp.isfinite(out).all(), "a padded row is finite, or a zero weight would not hide it"


def _check_levels(pool: Callable[..., Any], features: Any, real: Any) -> None:
    """A row depends on its own level's map and on nothing else."""
    boxes = np.concatenate([BOXES, BOXES])
    for level in (0, 1):
        maps = tuple(x if i == level else jnp.zeros_like(x) for i, x in enumerate(features))
        out = pool(maps, boxes, BOTH_LEVELS)
        own = level == BOTH_LEVELS
        assert jnp.allclose(out[own], real[own], atol=1e-5), "a row needs its own level alone"
        assert not out[~own].any(), "a row needs its own level alone"


def _check_gradients_of_roi_op(pool: Callable[..., Any], features: Any) -> None:
    """With garbage rows masked by a zero weight, both gradients are finite."""
    boxes = np.concatenate([BOXES, GARBAGE])
    weights = np.repeat(np.array([1, 0], np.float32), len(BOXES))

    def loss(features: Any, boxes: Any) -> Any:
        pooled = pool(features, boxes, BOTH_LEVELS)
        return jnp.sum(weights * jnp.sum(jnp.square(pooled), (1, 2, 3)))

    of_maps, of_boxes = quick_jit(jax.grad(loss, (0, 1)))(features, jnp.asarray(boxes))
    assert all(jnp.isfinite(x).all() for x in of_maps), "the maps' gradient is finite"
    assert all(jnp.any(x != 0) for x in of_maps), "every map in use has a gradient"
    assert jnp.isfinite(of_boxes).all(), "the boxes' gradient is finite"
    assert not of_boxes[len(BOXES) :].any(), "a padded row has no gradient"


def _check_vmap(pool: Callable[..., Any], compiled: Callable[..., Any]) -> None:
    images = [_random_maps(seed) for seed in (1, 2)]
    maps = jax.tree.map(lambda *x: jnp.stack(x), *images)
    boxes = np.stack([np.concatenate([BOXES, GARBAGE]), np.concatenate([GARBAGE, BOXES])])
    together = quick_jit(jax.vmap(pool, (0, 0, None)))(maps, boxes, BOTH_LEVELS)
    for i, features in enumerate(images):
        alone = compiled(features, boxes[i], BOTH_LEVELS)
        assert jnp.allclose(together[i], alone, atol=1e-5), "under vmap as alone"

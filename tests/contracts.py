"""What the detector takes for granted of a backbone, a sampler and a RoI op, checked.

A fork calls them on its own:

    from tests.contracts import check_backbone, check_roi_op, check_sampler

Each returns nothing, or fails with an AssertionError that says which promise is broken.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.ops.roi import RoiOp
from jaxrcnn.ops.sampling import Sampler

COLLECTIONS = {"params", "constants", "batch_stats"}


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
    _check_static(module)

    images = jax.random.normal(jax.random.key(0), (2, 64, 96, 3))
    variables = _jit(module.init)(jax.random.key(1), images)
    _check_variables(variables)
    for train, size in ((False, (64, 96)), (True, (96, 64))):
        batch = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        maps, new = jax.eval_shape(functools.partial(_run, module, train=train), variables, batch)
        _check_maps(maps, strides, size, channels)
        _check_statistics(variables, new)
    _check_gradients_of_backbone(module, variables, images)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Compiled to run a time or two: the compiler's optimisations would cost more than they save.
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def _run(module: Any, variables: Any, images: Any, train: bool) -> Any:
    return module.apply(variables, images, train=train, mutable=["batch_stats"])


def _check_static(piece: Any) -> None:
    try:
        hash(piece)
    except TypeError as error:
        raise AssertionError("it can be a static argument under jit: hashable") from error


def _check_variables(variables: Any) -> None:
    assert "params" in variables, "there are parameters"
    assert set(variables) <= COLLECTIONS, f"collections are among {sorted(COLLECTIONS)}"
    for array in jax.tree.leaves(variables["params"]):
        assert array.dtype == jnp.float32, "parameters are float32"


def _check_maps(maps: Any, strides: tuple[int, ...], size: tuple[int, int], channels: Any) -> None:
    assert isinstance(maps, tuple | list), "it returns a tuple of maps, even of one"
    assert len(maps) == len(strides), "a map for each stride"
    for x, stride in zip(maps, strides, strict=True):
        expected = (2, *(-(-side // stride) for side in size))
        assert x.ndim == 4, "maps are (N, H, W, C)"
        assert x.shape[:3] == expected, f"stride {stride}: {x.shape[:3]}, not {expected}"
        assert x.shape[3] == (channels or maps[0].shape[3]), "every map has the same channels"
        assert x.dtype in (jnp.float32, jnp.bfloat16), "maps are float32 or bfloat16"


def _check_statistics(variables: Any, new: Any) -> None:
    before = jax.tree.map(jnp.shape, variables.get("batch_stats", {}))
    after = jax.tree.map(lambda x: x.shape, new.get("batch_stats", {}))
    assert before == after, "batch statistics keep their names and shapes"


def _check_gradients_of_backbone(module: Any, variables: Any, images: Any) -> None:
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    @_jit
    def gradients_and_maps(params: Any, images: Any) -> Any:
        def loss(params: Any) -> Any:
            maps, _ = _run(module, {**rest, "params": params}, images, train=False)
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


SAMPLER_CASES = {  # candidates: foreground, background, neither
    "plenty": (40, 100, 20),
    "short of foreground": (2, 100, 58),
    "short of background": (40, 3, 117),
    "no foreground": (0, 50, 110),
    "no background": (50, 0, 110),
    "nothing to choose": (0, 0, 160),
    "fewer than places": (3, 4, 5),
}


def check_sampler(sampler: Sampler) -> None:
    """Check a sampler: places, dtypes, nothing forbidden or twice, foreground within bounds."""
    _check_static(sampler)
    draw = jax.jit(
        sampler,
        static_argnums=(3, 4),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    rng = np.random.default_rng(0)
    for name, counts in SAMPLER_CASES.items():
        label = rng.permutation(np.repeat(np.array([1, 0, -1], np.int32), counts))
        overlap = rng.uniform(0, 1, len(label)).astype(np.float32)
        for size, fraction in ((16, 0.25), (5, 0.5), (16, 1.0)):
            drawn = draw(jax.random.key(size), label, overlap, size, fraction)
            _check_sample(f"{name}, {size} at {fraction}", drawn, label, size, fraction)
    _check_sampler_keys(sampler)


def _check_sample(case: str, drawn: Any, label: np.ndarray, size: int, fraction: float) -> None:
    index, valid = drawn
    assert index.shape == valid.shape == (size,), f"{case}: as many places as were asked for"
    assert index.dtype == jnp.int32, f"{case}: index is int32"
    assert valid.dtype == bool, f"{case}: valid is bool"
    index, valid = np.asarray(index), np.asarray(valid)
    assert ((index >= 0) & (index < len(label))).all(), f"{case}: every index is in range"
    chosen = index[valid]
    assert len(set(chosen)) == len(chosen), f"{case}: nothing is drawn twice"
    assert (label[chosen] >= 0).all(), f"{case}: label -1 is never drawn"
    limit = int(size * fraction)
    assert (label[chosen] == 1).sum() <= limit, f"{case}: no more than {limit} foreground"


def _check_sampler_keys(sampler: Sampler) -> None:
    """One key, one draw; under vmap each image draws as it would alone."""
    rng = np.random.default_rng(1)
    label = rng.integers(-1, 2, (3, 60)).astype(np.int32)
    overlap = rng.uniform(0, 1, (3, 60)).astype(np.float32)
    keys = jax.random.split(jax.random.key(2), 3)

    def of_image(key: Any, label: Any, overlap: Any) -> Any:
        return sampler(key, label, overlap, 16, 0.5)

    together = _jit(jax.vmap(of_image))(keys, label, overlap)
    draw = _jit(of_image)
    alone = [draw(*one) for one in zip(keys, label, overlap, strict=True)]
    for i, one in enumerate(alone):
        same = [np.array_equal(x[i], y) for x, y in zip(together, one, strict=True)]
        assert all(same), "under vmap an image draws as it would alone"


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
GARBAGE = np.array(
    [
        [np.nan] * 4,
        [np.inf, -np.inf, np.inf, np.inf],
        [1e30, -1e30, 3e38, 1e30],
        [50.0, 40.0, 10.0, 5.0],  # inside out
        [-500.0, -500.0, -400.0, -400.0],  # far outside
    ],
    np.float32,
)
LEVELS = np.array([0, 1, 0, 1, 0], np.int32)
BOTH_LEVELS = np.concatenate([LEVELS, LEVELS])  # of five real boxes and five padded ones


def check_roi_op(op: RoiOp) -> None:
    """Check a RoI op: shapes, dtypes, levels, padded rows, gradients, jit and vmap."""
    _check_static(op)
    features = _random_maps(0)
    for side, ratio in ((7, 2), (1, 1)):
        _check_pooled(op, features, side, ratio)
    pool = _jit(_pool_with(op, 3, 2))
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

    of_maps, of_boxes = _jit(jax.grad(loss, (0, 1)))(features, jnp.asarray(boxes))
    assert all(jnp.isfinite(x).all() for x in of_maps), "the maps' gradient is finite"
    assert all(jnp.any(x != 0) for x in of_maps), "every map in use has a gradient"
    assert jnp.isfinite(of_boxes).all(), "the boxes' gradient is finite"
    assert not of_boxes[len(BOXES) :].any(), "a padded row has no gradient"


def _check_vmap(pool: Callable[..., Any], compiled: Callable[..., Any]) -> None:
    images = [_random_maps(seed) for seed in (1, 2)]
    maps = jax.tree.map(lambda *x: jnp.stack(x), *images)
    boxes = np.stack([np.concatenate([BOXES, GARBAGE]), np.concatenate([GARBAGE, BOXES])])
    together = _jit(jax.vmap(pool, (0, 0, None)))(maps, boxes, BOTH_LEVELS)
    for i, features in enumerate(images):
        alone = compiled(features, boxes[i], BOTH_LEVELS)
        assert jnp.allclose(together[i], alone, atol=1e-5), "under vmap as alone"

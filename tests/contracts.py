"""What the detector takes for granted of a backbone, a sampler and a RoI op, as checks of any piece.

A fork calls them on its own:

    from tests.contracts import check_backbone, check_roi_op, check_sampler

Each returns nothing, or fails with an AssertionError that says which promise is broken.
"""

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
    variables = jax.jit(module.init)(jax.random.key(1), images)
    _check_variables(variables)

    def run(variables: Any, images: Any) -> Any:
        return module.apply(variables, images, train=False, mutable=["batch_stats"])[0]

    for size in ((64, 96), (96, 64)):
        batch = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        _check_maps(jax.eval_shape(run, variables, batch), strides, size, channels)
    maps = jax.jit(run)(variables, images)
    again = jax.jit(run)(variables, images.at[1].set(0))
    for one, other in zip(maps, again, strict=True):
        assert jnp.isfinite(one).all(), "maps are finite"
        assert jnp.allclose(one[0], other[0], atol=1e-4), "pictures do not see each other"
    _check_training(module, variables, images)


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


def _check_training(module: Any, variables: Any, images: Any) -> None:
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def loss(params: Any) -> Any:
        maps, new = module.apply(
            {**rest, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return sum(jnp.sum(jnp.square(x.astype(jnp.float32))) for x in maps), new

    gradients, new = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    leaves = jax.tree.leaves(gradients)
    assert all(jnp.isfinite(x).all() for x in leaves), "gradients are finite"
    assert any(jnp.any(x != 0) for x in leaves), "something is trained"
    before = jax.tree.map(jnp.shape, variables.get("batch_stats", {}))
    assert jax.tree.map(jnp.shape, new.get("batch_stats", before)) == before, (
        "batch statistics keep their shapes"
    )


SAMPLER_CASES = {  # candidates: foreground, background, neither
    "plenty": (40, 100, 20),
    "short of foreground": (2, 100, 20),
    "short of background": (40, 3, 20),
    "fewer than places": (3, 4, 5),
    "no foreground": (0, 50, 10),
    "no background": (50, 0, 10),
    "nothing to choose": (0, 0, 12),
}


def check_sampler(sampler: Sampler) -> None:
    """Check a sampler: places, dtypes, nothing forbidden, nothing twice, foreground within bounds."""
    _check_static(sampler)
    draw = jax.jit(sampler, static_argnums=(3, 4))
    rng = np.random.default_rng(0)
    for name, counts in SAMPLER_CASES.items():
        label = rng.permutation(np.repeat(np.array([1, 0, -1], np.int32), counts))
        overlap = rng.uniform(0, 1, len(label)).astype(np.float32)
        for size, fraction in ((16, 0.25), (16, 1.0), (5, 0.5), (16, 0.0)):
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
    """One key, one draw; under vmap each picture draws as it would alone."""
    rng = np.random.default_rng(1)
    label = rng.integers(-1, 2, (3, 60)).astype(np.int32)
    overlap = rng.uniform(0, 1, (3, 60)).astype(np.float32)
    keys = jax.random.split(jax.random.key(2), 3)

    def of_image(key: Any, label: Any, overlap: Any) -> Any:
        return sampler(key, label, overlap, 16, 0.5)

    together = jax.jit(jax.vmap(of_image))(keys, label, overlap)
    alone = [jax.jit(of_image)(*one) for one in zip(keys, label, overlap, strict=True)]
    for i, one in enumerate(alone):
        same = [np.array_equal(x[i], y) for x, y in zip(together, one, strict=True)]
        assert all(same), "under vmap a picture draws as it would alone"


MAP_SIZES = ((16, 24), (8, 12))
STRIDES = (4, 8)
BOXES = np.array(
    [
        [10.3, 12.7, 41.9, 50.2],
        [0.0, 0.0, 96.0, 64.0],  # the whole picture
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


def check_roi_op(op: RoiOp) -> None:
    """Check a RoI op: shapes, dtypes, levels, padded rows, gradients, jit and vmap."""
    _check_static(op)
    features = _random_maps(0)
    for side, ratio in ((7, 2), (2, 0), (1, 1)):
        _check_pooled(op, features, side, ratio)
    pool = _pool_with(op, 3, 2)
    alone = jax.jit(pool)(features, BOXES, LEVELS)
    assert jnp.isfinite(alone).all(), "real boxes give finite numbers"
    _check_garbage_rows(pool, features, alone)
    _check_levels(pool, features, alone)
    _check_gradients(pool, features)
    _check_vmap(pool)


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


def _check_garbage_rows(pool: Callable[..., Any], features: Any, alone: Any) -> None:
    """Padded rows change no other row and give nothing that is not a number."""
    boxes = np.concatenate([GARBAGE, BOXES])
    out = jax.jit(pool)(features, boxes, np.concatenate([LEVELS, LEVELS]))
    assert jnp.allclose(out[5:], alone, atol=1e-5), "a padded row changes no other"
    assert jnp.isfinite(out).all(), "a padded row is finite, or a zero weight would not hide it"


def _check_levels(pool: Callable[..., Any], features: Any, alone: Any) -> None:
    """A row depends on its own level's map and on nothing else."""
    for level in (0, 1):
        maps = tuple(x if i == level else jnp.zeros_like(x) for i, x in enumerate(features))
        out = jax.jit(pool)(maps, BOXES, LEVELS)
        own = level == LEVELS
        assert jnp.allclose(out[own], alone[own], atol=1e-5), "a row needs its own level alone"
        assert not jnp.allclose(out[~own], alone[~own]), "a row is of its own level"


def _check_gradients(pool: Callable[..., Any], features: Any) -> None:
    """With garbage rows masked by a zero weight, both gradients are finite."""
    boxes, levels = np.concatenate([BOXES, GARBAGE]), np.concatenate([LEVELS, LEVELS])
    weights = np.repeat(np.array([1, 0], np.float32), len(BOXES))

    def loss(features: Any, boxes: Any) -> Any:
        pooled = pool(features, boxes, levels)
        return jnp.sum(weights * jnp.sum(jnp.square(pooled), (1, 2, 3)))

    of_maps, of_boxes = jax.jit(jax.grad(loss, (0, 1)))(features, jnp.asarray(boxes))
    assert all(jnp.isfinite(x).all() for x in of_maps), "the maps' gradient is finite"
    assert all(jnp.any(x != 0) for x in of_maps), "every map in use has a gradient"
    assert jnp.isfinite(of_boxes).all(), "the boxes' gradient is finite"
    assert not of_boxes[len(BOXES) :].any(), "a padded row has no gradient"


def _check_vmap(pool: Callable[..., Any]) -> None:
    images = [_random_maps(seed) for seed in (1, 2)]
    boxes = np.stack([BOXES, BOXES[::-1]])
    levels = np.stack([LEVELS, LEVELS[::-1]])
    together = jax.jit(jax.vmap(pool))(
        jax.tree.map(lambda *x: jnp.stack(x), *images), boxes, levels
    )
    for i, features in enumerate(images):
        alone = jax.jit(pool)(features, boxes[i], levels[i])
        assert jnp.allclose(together[i], alone, atol=1e-5), "under vmap as alone"

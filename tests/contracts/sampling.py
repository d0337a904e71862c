"""Samplers of anchors and proposals."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.ops.sampling import Sampler
from tests.contracts.shared import check_static, quick_jit

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
    check_static(sampler)
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

    together = quick_jit(jax.vmap(of_image))(keys, label, overlap)
    draw = quick_jit(of_image)
    alone = [draw(*one) for one in zip(keys, label, overlap, strict=True)]
    for i, one in enumerate(alone):
        same = [np.array_equal(x[i], y) for x, y in zip(together, one, strict=True)]
        assert all(same), "under vmap an image draws as it would alone"

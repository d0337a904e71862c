"""The choice of the anchors or proposals that enter a loss.

In shapes, A is the candidates of one image, and S the places for the chosen.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.ops.matching import BACKGROUND, FOREGROUND
from jaxrcnn.types import Array


class Sample(NamedTuple):
    """The chosen candidates, foreground first."""

    index: Array  # (S,) int32, 0 where padded
    valid: Array  # (S,) bool


class Sampler(Protocol):
    """What a sampler of one's own must look like; it is called with positional arguments.

    `label` is (A,) int32: 1 foreground, 0 background, -1 never to be chosen. `overlap` is (A,)
    float32, the largest IoU with a ground-truth box, for samplers that weigh by it.
    """

    def __call__(
        self, key: Array, label: Array, overlap: Array, size: int, foreground_fraction: float, /
    ) -> Sample:
        """Choose at most `size` candidates."""
        ...


def sample(
    key: Array, label: Array, overlap: Array, size: int, foreground_fraction: float
) -> Sample:
    """Choose at random, every candidate of a label as likely as another (Faster R-CNN, 3.1.3).

    Args:
        key: used once.
        label: (A,) int32: 1 foreground, 0 background, -1 never chosen.
        overlap: (A,) float32, part of the `Sampler` contract and not used here.
        size: places S. Where the foreground is short the background fills them; where the
            background is short too they stay invalid, as in Detectron2.
        foreground_fraction: largest share of foreground, rounded down to whole places.
    """
    del overlap
    priority = _priorities(key, label.shape[0])
    limit = int(size * foreground_fraction)
    foreground, num_foreground = _draw(priority, label == FOREGROUND, limit)
    background, num_background = _draw(priority, label == BACKGROUND, size)
    place = jnp.arange(size)
    # The background's draws stand behind the foreground's, and fill the places it leaves.
    draws = jnp.concatenate([foreground, background, jnp.zeros(size, jnp.int32)])
    skipped = foreground.shape[0] - num_foreground
    index = draws[jnp.where(place < num_foreground, place, place + skipped)]
    valid = place < num_foreground + num_background
    return Sample(jnp.where(valid, index, 0), valid)


def _priorities(key: Array, size: int) -> Array:
    """Random order of (A,) candidates: positive float32, 2**30 values equally likely.

    The sorts of a permutation cost fifty times as much on a CPU at 270 000 anchors; uniform floats
    take 2**23 values only, and of equal ones the lower index goes first.
    """
    bits = jax.random.bits(key, (size,), jnp.uint32)
    # Patterns of positive floats have the order of integers; the sum skips the subnormals, which
    # hardware may take for zeros.
    return lax.bitcast_convert_type((bits >> 2) + 0x00800000, jnp.float32)


def _draw(priority: Array, candidate: Array, size: int) -> tuple[Array, Array]:
    """Indices of the candidates of highest priority, and how many of them are candidates."""
    best, index = lax.top_k(jnp.where(candidate, priority, -1), min(size, priority.shape[0]))
    return index, jnp.sum(best >= 0)

"""Soft-NMS (arXiv 1704.04503): boxes that overlap a better one lose score and stay."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.ops.boxes import iou_matrix
from jaxrcnn.types import Array


@jax.named_scope("nms")
def soft_nms(
    boxes: Array,
    scores: Array,
    valid: Array,
    iou_threshold: float,
    max_output: int,
    groups: Array | None = None,
    *,
    method: Literal["linear", "gaussian"],
    sigma: float,
    score_threshold: float,
) -> tuple[Array, Array, Array]:
    """Lower the scores of boxes that overlap a better one instead of dropping them.

    Box by box, the best that remains is taken and the scores of the others are multiplied by
    ``1 - iou`` where it exceeds the threshold (linear), or by ``exp(-iou**2 / sigma)`` (gaussian):
    arXiv 1704.04503, section 3. It is sequential by nature, a step for each place of the output.

    Args:
        boxes: (N, 4) float32.
        scores: (N,) float32, not negative.
        valid: (N,) bool; what stands in other places is of no matter, NaN included.
        iou_threshold: used by the linear method only.
        max_output: places D.
        groups: (N,) int32; boxes lower the scores of their own group only. None: one group.
        method: how scores fall with the overlap.
        sigma: width of the Gaussian.
        score_threshold: at least 0; boxes whose score is not above it are dropped.

    Returns:
        (D,) int32 indices, best first, 0 where padded; their (D,) lowered scores, 0 where padded;
        and their (D,) mask.
    """
    sides = lax.stop_gradient(jnp.where(valid[:, None], boxes, 0)).T  # (4, N), quicker on a CPU

    def take_best(place: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        remaining, index, taken = state
        best = jnp.argmax(remaining)
        index = index.at[place].set(best.astype(jnp.int32))
        taken = taken.at[place].set(remaining[best])
        iou = iou_matrix(sides[:, best][None], sides.T)[0]
        if method == "linear":
            factor = jnp.where(iou > iou_threshold, 1 - iou, 1)
        else:
            factor = jnp.exp(-jnp.square(iou) / sigma)
        if groups is not None:
            factor = jnp.where(groups == groups[best], factor, 1)
        return (remaining * factor).at[best].set(-1), index, taken

    # -1 marks what is gone: no factor lifts it above 0, and no threshold lets 0 pass.
    remaining = lax.stop_gradient(jnp.where(valid, scores, -1))
    # Zeros like what is computed: they vary over the same devices, as `jax.shard_map` demands.
    taken = jnp.zeros_like(remaining, shape=max_output)
    index = jnp.zeros_like(taken, dtype=jnp.int32)
    _, index, taken = lax.fori_loop(0, max_output, take_best, (remaining, index, taken))
    keep_valid = taken > score_threshold
    return jnp.where(keep_valid, index, 0), jnp.where(keep_valid, taken, 0), keep_valid

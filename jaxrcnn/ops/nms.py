"""Non-maximum suppression: of boxes that overlap, the best stays.

In shapes, N is the boxes of one image, D the places for those kept, and T the boxes of a tile.
"""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.ops.boxes import iou_matrix
from jaxrcnn.types import Array

TILE = 128
"""Boxes compared at a time: overlaps take memory for TILE * TILE pairs, never for N * N."""

TILE_OF_ACCELERATORS = 2048
"""The same where comparing is cheap and each round of a loop is waited for: 4 MiB of pairs."""


class _Boxes(NamedTuple):
    """Boxes that suppress those of their own group.

    Each coordinate lies in a row of its own: a CPU reads such rows many times as fast.
    """

    sides: Array  # (4, ...) float32: x0, y0, x1, y1
    groups: Array | None  # (...) int32, or None: all of one group


class _Kept(NamedTuple):
    """What is kept so far, best first, in whole tiles of places."""

    boxes: _Boxes  # (..., D'), zeros where still free
    index: Array  # (D',) int32
    count: Array  # () int32


@jax.named_scope("nms")
def nms(
    boxes: Array,
    scores: Array,
    valid: Array,
    iou_threshold: float,
    max_output: int,
    groups: Array | None = None,
) -> tuple[Array, Array]:
    """Greedy suppression: what the sequential algorithm keeps, computed in parallel.

    From the best score down, a box is kept unless its IoU with one that is kept exceeds the
    threshold; of equal scores the earlier box is the better. No gradient passes: gather by index.

    Args:
        boxes: (N, 4) float32.
        scores: (N,) float32.
        valid: (N,) bool; what stands in other places is of no matter, NaN included.
        iou_threshold: at least 0.
        max_output: places D.
        groups: (N,) int32; boxes suppress those of their own group only. None: one group.

    Returns:
        (D,) int32 indices of the best boxes kept, best first, 0 where padded, and their (D,) mask.
    """
    order = _best_first(lax.stop_gradient(scores), valid)
    candidates = _candidates(boxes, valid, groups)
    candidates = jax.tree.map(lambda x: jnp.take(x, order, axis=-1), candidates)
    sweep = functools.partial(_sweep, iou_threshold=iou_threshold, max_output=max_output)
    index, count = lax.platform_dependent(
        *(candidates, jnp.sum(valid), order),
        cpu=functools.partial(sweep, tile=TILE),
        default=functools.partial(sweep, tile=TILE_OF_ACCELERATORS),
    )
    return index, jnp.arange(max_output) < count


def _best_first(scores: Array, valid: Array) -> Array:
    """Places (N,) int32 from the best score down, the invalid ones behind.

    It sorts by one key, which GPUs have a quick sort for.
    """
    # A valid score that is not a number or minus infinity is the worst, yet not behind the invalid.
    worst = jnp.finfo(scores.dtype).max
    key = jnp.where(valid, jnp.nan_to_num(-scores, nan=worst), jnp.inf)
    return jnp.argsort(key, stable=True).astype(jnp.int32)


def _candidates(boxes: Array, valid: Array, groups: Array | None) -> _Boxes:
    """The boxes with zeros for padding, which overlap nothing, and cut off from the gradient."""
    boxes = lax.stop_gradient(jnp.where(valid[:, None], boxes, 0))
    return _Boxes(boxes.T, None if groups is None else jnp.asarray(groups))


def _sweep(
    candidates: _Boxes,
    num_valid: Array,
    index: Array,
    *,
    iou_threshold: float,
    max_output: int,
    tile: int,
) -> tuple[Array, Array]:
    """Go through the sorted candidates tile by tile until they or the places run out.

    A tile is cleared of what the boxes kept before it suppress, then decided in itself.

    Returns:
        (D,) int32 indices of what is kept, best first, and its number () int32.
    """
    tile = max(1, min(tile, len(index)))
    candidates, index = _in_tiles((candidates, index), tile)

    def unfinished(state: tuple[Array, _Kept]) -> Array:
        start, kept = state
        return (start < num_valid) & (kept.count < max_output)

    def decide_tile(state: tuple[Array, _Kept]) -> tuple[Array, _Kept]:
        start, kept = state
        boxes, own_index = _tile((candidates, index), start, tile)

        def clear(number: Array, remaining: Array) -> Array:
            before = _tile(kept.boxes, number * tile, tile)
            return remaining & ~jnp.any(_rivals(before, boxes, iou_threshold), axis=0)

        real = start + jnp.arange(tile) < num_valid
        remaining = lax.fori_loop(0, -(-kept.count // tile), clear, real)
        keep = _suppress(remaining, jnp.triu(_rivals(boxes, boxes, iou_threshold), k=1))
        return start + tile, _append(kept, boxes, own_index, keep, max_output)

    # Zeros like a number that is computed vary over the same devices, as shard_map demands of what
    # a loop begins with.
    zeros = functools.partial(jnp.zeros_like, num_valid)
    places = jax.tree.map(
        lambda x: zeros(x.dtype, shape=(*x.shape[:-1], max_output)), (candidates, index)
    )
    boxes, places = _in_tiles(places, tile)
    nothing = _Kept(boxes, places, zeros(jnp.int32))
    _, kept = lax.while_loop(unfinished, decide_tile, (jnp.int32(0), nothing))
    return kept.index[:max_output], kept.count


def _in_tiles(rows: Any, tile: int) -> Any:
    """Pad along the last axis to whole tiles, one at least."""

    def pad(x: Array) -> Array:
        padding = -x.shape[-1] % tile if x.shape[-1] else tile
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, padding)])

    return jax.tree.map(pad, rows)


def _tile(rows: Any, start: Array, tile: int) -> Any:
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, tile, axis=-1), rows)


def _rivals(a: _Boxes, b: _Boxes, iou_threshold: float) -> Array:
    """Pairs of one group whose IoU exceeds the threshold, (A, B) bool."""
    overlap = iou_matrix(a.sides.T, b.sides.T) > iou_threshold
    if a.groups is None or b.groups is None:
        return overlap
    return overlap & (a.groups[:, None] == b.groups[None])


def _suppress(candidate: Array, beats: Array) -> Array:
    """Greedy choice among the (T,) candidates, where beats[j, i] says that j < i would drop i.

    It is the only solution of ``keep[i] = candidate[i] and no j < i with keep[j] and beats[j, i]``:
    keep[0] is given, and each keep[i] follows from those before it. Putting a guess into the
    right-hand side again and again finds it: a place is final one round after all that can drop it
    are, so the first place is final after one round, and at least one more after each. What a round
    does not change solves the equation. The rounds do not grow with the boxes kept, but with the
    longest chain in which each box decides on the next.
    """

    def decide(keep: Array) -> Array:
        return candidate & ~jnp.any(beats & keep[:, None], axis=0)

    def changed(guesses: tuple[Array, Array]) -> Array:
        last, keep = guesses
        return jnp.any(last != keep)

    def advance(guesses: tuple[Array, Array]) -> tuple[Array, Array]:
        _, keep = guesses
        return keep, decide(keep)

    _, keep = lax.while_loop(changed, advance, (candidate, decide(candidate)))
    return keep


def _append(kept: _Kept, boxes: _Boxes, index: Array, keep: Array, max_output: int) -> _Kept:
    """Put what is kept of a tile behind the boxes before it; what finds no place is dropped."""
    place = jnp.where(keep, kept.count + jnp.cumsum(keep) - 1, max_output)
    place = jnp.where(place < max_output, place, len(kept.index))
    boxes, index = jax.tree.map(
        lambda old, new: old.at[..., place].set(new, mode="drop"),
        (kept.boxes, kept.index),
        (boxes, index),
    )
    count = jnp.minimum(kept.count + jnp.sum(keep), max_output)
    return _Kept(boxes, index, count.astype(jnp.int32))


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
    candidates = _candidates(boxes, valid, groups)

    def take_best(place: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        remaining, index, taken = state
        best = jnp.argmax(remaining)
        index = index.at[place].set(best.astype(jnp.int32))
        taken = taken.at[place].set(remaining[best])
        iou = iou_matrix(candidates.sides[:, best][None], candidates.sides.T)[0]
        if method == "linear":
            factor = jnp.where(iou > iou_threshold, 1 - iou, 1)
        else:
            factor = jnp.exp(-jnp.square(iou) / sigma)
        if candidates.groups is not None:
            factor = jnp.where(candidates.groups == candidates.groups[best], factor, 1)
        return (remaining * factor).at[best].set(-1), index, taken

    # -1 marks what is gone: no factor lifts it above 0, and no threshold lets 0 pass.
    remaining = lax.stop_gradient(jnp.where(valid, scores, -1))
    taken = jnp.zeros_like(remaining, shape=max_output)
    index = jnp.zeros_like(taken, dtype=jnp.int32)
    _, index, taken = lax.fori_loop(0, max_output, take_best, (remaining, index, taken))
    keep_valid = taken > score_threshold
    return jnp.where(keep_valid, index, 0), jnp.where(keep_valid, taken, 0), keep_valid

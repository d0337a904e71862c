"""Non-maximum suppression: of boxes that overlap, the best stays.

In shapes, N is the boxes of one image, D the places for those kept, and T the boxes of a tile.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

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


class _Candidates(NamedTuple):
    """Boxes to choose from, best first."""

    boxes: _Boxes  # (..., M)
    index: Array  # (M,) int32, what they are called in the result
    count: Array  # () int32, how many of them are valid: those behind are not


class _Kept(NamedTuple):
    """What is kept so far, best first; zeros where a place is still free."""

    boxes: _Boxes  # (..., D)
    index: Array  # (D,) int32
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
    scores, index = lax.stop_gradient(scores), jnp.arange(len(scores), dtype=jnp.int32)
    candidates = _sorted(boxes, scores, valid, groups, index)
    nothing = _nothing(boxes, max_output, grouped=groups is not None)
    kept = _sweep(candidates, nothing, iou_threshold)
    return kept.index, jnp.arange(max_output) < kept.count


class Boxes(NamedTuple):
    """Some of many boxes, for `nms_in_rounds`."""

    boxes: Array  # (M, 4) float32
    groups: Array  # (M,) int32
    valid: Array  # (M,) bool


@jax.named_scope("nms")
def nms_in_rounds(
    scores: Array,
    boxes_of: Callable[[Array], Boxes],
    iou_threshold: float,
    max_output: int,
    at_a_time: int,
) -> tuple[Array, Array]:
    """What `nms` keeps of all boxes, of which only the best are made, so many at a time.

    A round takes the best boxes that are left. There are as many rounds as it takes to fill the
    places: mostly one. So memory does not grow with the number of boxes.

    Args:
        scores: (N,) float32; -inf leaves a box out.
        boxes_of: makes the boxes of places (M,) int32 among the N.
        iou_threshold: at least 0.
        max_output: places D.
        at_a_time: boxes of a round.

    Returns:
        As `nms`.
    """
    remaining = lax.stop_gradient(jnp.where(scores == 0, 0, scores))  # of two signs, for top_k
    at_a_time = min(at_a_time, len(scores))

    def unfinished(state: tuple[Array, _Kept]) -> Array:
        remaining, kept = state
        return (kept.count < max_output) & jnp.any(remaining > -jnp.inf)

    def do_round(state: tuple[Array, _Kept]) -> tuple[Array, _Kept]:
        remaining, kept = state
        best, index = lax.top_k(remaining, at_a_time)
        boxes, groups, valid = boxes_of(index)
        candidates = _sorted(boxes, best, valid & (best > -jnp.inf), groups, index)
        kept = _sweep(candidates, kept, iou_threshold)
        return remaining.at[index].set(-jnp.inf), kept

    nothing = _nothing(remaining, max_output, grouped=True)
    _, kept = lax.while_loop(unfinished, do_round, (remaining, nothing))
    return kept.index, jnp.arange(max_output) < kept.count


def _best_first(scores: Array, valid: Array) -> Array:
    """Places (N,) int32 from the best score down, the invalid ones behind.

    It sorts by one key, which GPUs have a quick sort for.
    """
    # A valid score that is not a number or minus infinity is the worst, yet not behind the invalid.
    worst = jnp.finfo(scores.dtype).max
    key = jnp.where(valid, jnp.nan_to_num(-scores, nan=worst), jnp.inf)
    return jnp.argsort(key, stable=True).astype(jnp.int32)


def _sorted(
    boxes: Array, scores: Array, valid: Array, groups: Array | None, index: Array
) -> _Candidates:
    """Candidates from boxes (M, 4) in any order; padding is zeros, which overlap nothing."""
    order = _best_first(scores, valid)
    boxes = lax.stop_gradient(jnp.where(valid[:, None], boxes, 0))
    rows = _Boxes(boxes.T, None if groups is None else jnp.asarray(groups))
    rows, index = jax.tree.map(lambda x: jnp.take(x, order, axis=-1), (rows, index))
    return _Candidates(rows, index, jnp.sum(valid))


def _nothing(like: Array, max_output: int, grouped: bool) -> _Kept:
    """So many free places.

    Zeros like an array that is computed vary over the same devices, as `jax.shard_map` demands of
    what a loop begins with.
    """
    zeros = functools.partial(jnp.zeros_like, like)
    groups = zeros(jnp.int32, shape=max_output) if grouped else None
    boxes = _Boxes(zeros(shape=(4, max_output)), groups)
    return _Kept(boxes, zeros(jnp.int32, shape=max_output), zeros(jnp.int32, shape=()))


def _sweep(candidates: _Candidates, kept: _Kept, iou_threshold: float) -> _Kept:
    """Go through the candidates, none better than what is kept, until they or the places end."""
    sweep = functools.partial(_sweep_in_tiles, iou_threshold=iou_threshold)
    return lax.platform_dependent(
        *(candidates, kept),
        cpu=functools.partial(sweep, tile=TILE),
        default=functools.partial(sweep, tile=TILE_OF_ACCELERATORS),
    )


def _sweep_in_tiles(
    candidates: _Candidates, kept: _Kept, *, iou_threshold: float, tile: int
) -> _Kept:
    """A tile is cleared of what the boxes kept before it suppress, then decided in itself."""
    max_output = len(kept.index)
    tile = max(1, min(tile, len(candidates.index)))
    rows = _in_tiles((candidates.boxes, candidates.index), tile)
    boxes, places = _in_tiles((kept.boxes, kept.index), tile)

    def unfinished(state: tuple[Array, _Kept]) -> Array:
        start, kept = state
        return (start < candidates.count) & (kept.count < max_output)

    def decide_tile(state: tuple[Array, _Kept]) -> tuple[Array, _Kept]:
        start, kept = state
        boxes, index = _tile(rows, start, tile)

        def clear(number: Array, remaining: Array) -> Array:
            before = _tile(kept.boxes, number * tile, tile)
            return remaining & ~jnp.any(_rivals(before, boxes, iou_threshold), axis=0)

        real = start + jnp.arange(tile) < candidates.count
        remaining = lax.fori_loop(0, -(-kept.count // tile), clear, real)
        keep = _suppress(remaining, jnp.triu(_rivals(boxes, boxes, iou_threshold), k=1))
        return start + tile, _append(kept, boxes, index, keep, max_output)

    start = (jnp.int32(0), _Kept(boxes, places, kept.count))
    _, kept = lax.while_loop(unfinished, decide_tile, start)
    return jax.tree.map(lambda x: x[..., :max_output] if x.ndim else x, kept)


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

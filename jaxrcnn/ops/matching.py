"""Which ground-truth box every anchor or proposal stands for, and which of them may be trained on.

In shapes, A is the anchors or proposals of one image, and G its ground-truth boxes, padded and at
least one.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxrcnn.types import Array

FOREGROUND = 1
BACKGROUND = 0
IGNORED = -1


class Match(NamedTuple):
    """What every anchor is matched to."""

    index: Array  # (A,) int32, the ground-truth box of largest overlap
    label: Array  # (A,) int32, FOREGROUND, BACKGROUND or IGNORED
    overlap: Array  # (A,) float32, IoU with that box


def match(
    iou: Array,
    valid: Array,
    foreground_iou: float,
    background_iou: float,
    low_quality_matches: bool,
    background_floor: float = 0.0,
) -> Match:
    """Label anchors by their largest overlap (Faster R-CNN, section 3.1.2; Detectron2's Matcher).

    With low-quality matches, the anchors that overlap a ground-truth box the most, all of them
    where they tie, become foreground however little that is. They keep the index of the box that
    they themselves overlap the most, as in Detectron2 and torchvision. A box that no anchor touches
    promotes none; in those two its best overlap, 0, would promote every anchor that misses it.

    Args:
        iou: (A, G) float32; NaN counts as no overlap.
        valid: (G,) bool, the boxes that can be matched. Without any, all anchors are background.
        foreground_iou: at least this overlap makes foreground.
        background_iou: less than this overlap makes background; what lies between is ignored.
        low_quality_matches: give every box that is touched its best anchors.
        background_floor: less overlap than this is ignored (Fast R-CNN, section 2.3, takes 0.1).
    """
    iou = lax.stop_gradient(jnp.where(valid[None] & (iou >= 0), iou, -1))
    # Without the barrier the compiler may compute the IoU twice, rounded differently, and the
    # comparison with the best overlap below would miss the very anchor that has it.
    iou = lax.optimization_barrier(iou)
    index = jnp.argmax(iou, axis=1).astype(jnp.int32)
    overlap = jnp.maximum(jnp.max(iou, axis=1), 0)
    background = (overlap < background_iou) & ((overlap >= background_floor) | ~jnp.any(valid))
    foreground = overlap >= foreground_iou
    if low_quality_matches:
        best = jnp.max(iou, axis=0, keepdims=True)
        foreground |= jnp.any((iou == best) & (best > 0), axis=1)
    label = jnp.where(foreground, FOREGROUND, jnp.where(background, BACKGROUND, IGNORED))
    return Match(index, label.astype(jnp.int32), overlap)


def mark_ignored(label: Array, coverage: Array, ignore: Array, threshold: float = 0.5) -> Array:
    """Ignore the background that lies in an ignore region; foreground stays.

    Args:
        label: (A,) int32 of `match`.
        coverage: (A, G) share of each anchor's area that lies in each box.
        ignore: (G,) bool, the boxes that are ignore regions.
        threshold: share from which an anchor counts as part of the region.

    Returns:
        (A,) int32 labels.
    """
    covered = jnp.any((coverage >= threshold) & ignore[None], axis=1)
    return jnp.where((label == BACKGROUND) & covered, IGNORED, label)

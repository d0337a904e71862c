"""From the RPN's answer to proposals (paper, section 3.1; FPN paper, section 4.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.config import ModelConfig, ProposalsConfig
from jaxrcnn.ops.boxes import clip, decode, has_area
from jaxrcnn.ops.gradient import clip_gradient, clip_gradient_norm, scale_gradient
from jaxrcnn.ops.nms import nms
from jaxrcnn.types import Array, Proposals, RpnOutput


@jax.named_scope("propose")
def propose(
    rpn: RpnOutput,
    anchors: Array,
    level_sizes: Sequence[int],
    image_sizes: Array,
    config: ModelConfig,
    train: bool,
) -> Proposals:
    """Best anchors of each level, decoded, clipped, suppressed; then the best over the levels.

    The boxes are differentiable in the deltas, within the limits of proposals.delta_gradient; which
    boxes are chosen, and in which order, is not.

    Args:
        rpn: objectness (N, A) and deltas (N, A, 4).
        anchors: (A, 4) pixels.
        level_sizes: anchors of each level, their sum is A.
        image_sizes: (N, 2) height and width of the images inside the padding.
        config: proposals (counts, NMS threshold, smallest side) and rpn.coder_weights.
        train: take the counts for training.

    Returns:
        Proposals (N, R, ...), where R is post_nms, or less where there are fewer anchors.
    """
    wanted = config.proposals
    before = wanted.pre_nms_train if train else wanted.pre_nms_test
    after = wanted.post_nms_train if train else wanted.post_nms_test
    starts = [sum(level_sizes[:i]) for i in range(len(level_sizes))]
    counts = [min(before, size) for size in level_sizes]

    def of_image(rpn: RpnOutput, image_size: Array) -> Proposals:
        levels = []
        for start, size, count in zip(starts, level_sizes, counts, strict=True):
            objectness, deltas, references = (
                x[start : start + size] for x in (rpn.objectness, rpn.deltas, anchors)
            )
            scores, best = lax.top_k(lax.stop_gradient(objectness), count)
            boxes = _decode(deltas[best], references[best], image_size, config)
            levels.append(_pad(clip(boxes, image_size), scores, max(counts)))
        boxes, scores = (jnp.stack(x) for x in zip(*levels, strict=True))  # (L, k, ...)
        # One sweep for all levels: an accelerator waits for each round of it.
        kept = jax.vmap(lambda boxes, scores: _suppress(boxes, scores, wanted, after))(
            boxes, scores
        )
        boxes, scores, valid = jax.tree.map(jnp.concatenate, kept)  # (L, D, ...) -> (L*D, ...)
        scores, best = lax.top_k(jnp.where(valid, scores, -jnp.inf), min(after, sum(counts)))
        return Proposals(boxes[best], scores, valid[best])

    return jax.vmap(of_image)(rpn, image_sizes)


def _decode(deltas: Array, anchors: Array, image_size: Array, config: ModelConfig) -> Array:
    """Boxes (k, 4) of one level, with the limits of config.proposals.delta_gradient."""
    wanted, weights = config.proposals.delta_gradient, config.rpn.coder_weights
    # The gradient meets these from the last to the first.
    if wanted.clip > 0:
        deltas = clip_gradient(deltas, wanted.clip)
    if wanted.clip_norm > 0:
        deltas = clip_gradient_norm(deltas, wanted.clip_norm)
    if wanted.divide_by_anchor_size:
        sides = anchors[:, 2:] - anchors[:, :2]  # (k, 2)
        deltas = scale_gradient(deltas, 1 / jnp.concatenate([sides, sides], 1))
    if wanted.zero_outside_anchors:
        deltas = scale_gradient(deltas, _inside(anchors, image_size))
    if wanted.zero_if_clipped:
        fixed = decode(lax.stop_gradient(deltas), anchors, weights)
        deltas = scale_gradient(deltas, _inside(fixed, image_size))
    return decode(deltas, anchors, weights)


def _pad(boxes: Array, scores: Array, count: int) -> tuple[Array, Array]:
    """So many boxes and scores; those behind the (k, 4) and (k,) given take no part in anything."""
    padding = count - len(scores)
    return (
        jnp.pad(boxes, ((0, padding), (0, 0))),
        jnp.pad(scores, (0, padding), constant_values=-jnp.inf),
    )


def _inside(boxes: Array, image_size: Array) -> Array:
    """1.0 for the boxes that lie wholly in the image, else 0.0: (k, 1)."""
    return (boxes == clip(boxes, image_size)).all(1, keepdims=True).astype(boxes.dtype)


def _suppress(
    boxes: Array, scores: Array, config: ProposalsConfig, most: int
) -> tuple[Array, Array, Array]:
    """NMS among the boxes (k, 4) of one level.

    Those without area, too small, not finite or of too low a score take no part.
    """
    valid = has_area(boxes, config.min_size) & jnp.isfinite(boxes).all(1) & jnp.isfinite(scores)
    valid &= jax.nn.sigmoid(scores) >= config.score_threshold
    index, kept = nms(boxes, scores, valid, config.nms_iou, min(most, len(scores)))
    return boxes[index], scores[index], kept

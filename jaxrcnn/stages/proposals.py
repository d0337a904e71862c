"""From the RPN's answer to proposals (paper, section 3.1; FPN paper, section 4.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.config import ModelConfig, ProposalsConfig
from jaxrcnn.ops.boxes import clip, decode
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

    The boxes are differentiable in the deltas; which boxes are chosen, and in which order, is not.

    Args:
        rpn: objectness (N, A) and deltas (N, A, 4).
        anchors: (A, 4) pixels.
        level_sizes: anchors of each level, their sum is A.
        image_sizes: (N, 2) height and width of the pictures inside the padding.
        config: proposals (counts, NMS threshold, smallest side) and rpn.coder_weights.
        train: take the counts for training.

    Returns:
        Proposals (N, R, ...), where R is post_nms, or less where there are fewer anchors.
    """
    wanted = config.proposals
    before = wanted.pre_nms_train if train else wanted.pre_nms_test
    after = wanted.post_nms_train if train else wanted.post_nms_test
    starts = [sum(level_sizes[:i]) for i in range(len(level_sizes))]

    def of_image(rpn: RpnOutput, image_size: Array) -> Proposals:
        levels = []
        for start, size in zip(starts, level_sizes, strict=True):
            objectness, deltas, references = (
                x[start : start + size] for x in (rpn.objectness, rpn.deltas, anchors)
            )
            scores, best = lax.top_k(lax.stop_gradient(objectness), min(before, size))
            boxes = decode(deltas[best], references[best], config.rpn.coder_weights)
            levels.append(_suppress(clip(boxes, image_size), scores, wanted, after))
        boxes, scores, valid = (jnp.concatenate(x) for x in zip(*levels, strict=True))
        scores, best = lax.top_k(jnp.where(valid, scores, -jnp.inf), min(after, len(scores)))
        return Proposals(boxes[best], scores, valid[best])

    return jax.vmap(of_image)(rpn, image_sizes)


def _suppress(
    boxes: Array, scores: Array, config: ProposalsConfig, most: int
) -> tuple[Array, Array, Array]:
    """NMS among the boxes (k, 4) of one level; too small and non-finite ones take no part."""
    sides = boxes[:, 2:] - boxes[:, :2]
    valid = (sides >= config.min_size).all(1) & jnp.isfinite(boxes).all(1) & jnp.isfinite(scores)
    index, kept = nms(boxes, scores, valid, config.nms_iou, min(most, len(scores)))
    return boxes[index], scores[index], kept

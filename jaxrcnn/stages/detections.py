"""From the box head's answer to detections (Fast R-CNN, section 3.1)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrcnn.config import BoxHeadConfig, DetectionsConfig, ModelConfig
from jaxrcnn.ops.boxes import clip, decode, has_area
from jaxrcnn.ops.nms import Boxes, nms_in_rounds
from jaxrcnn.ops.soft_nms import soft_nms
from jaxrcnn.types import Array, BoxOutput, Detections, Proposals, at_least_float32

AT_A_TIME = 2000
"""(RoI, class) pairs of an image that NMS looks at in a round; mostly the first is enough."""


@jax.named_scope("detect")
def detect(
    output: BoxOutput,
    proposals: Proposals,
    image_sizes: Array,
    config: ModelConfig,
) -> Detections:
    """Per-class scores and boxes of every image, NMS within each class.

    NMS looks at all pairs of RoI and class above the score threshold, from the best down; of equal
    scores the earlier RoI comes first. Boxes without area are no detections.

    Args:
        output: class_logits (N, R, K + 1) and deltas (N, R, K or 1, 4).
        proposals: (N, R, ...) what the deltas are relative to.
        image_sizes: (N, 2) height and width of the images inside the padding.
        config: detections (thresholds and counts), and of box_head class_loss and coder_weights.

    Returns:
        Detections (N, D, ...), D = max_detections.
    """

    of_image = functools.partial(_detect_in_image, config=config)
    return jax.vmap(of_image)(output, proposals, image_sizes)


def class_scores(logits: Array, config: BoxHeadConfig) -> Array:
    """Scores of the classes without the background, as the class loss trains them.

    Args:
        logits: (..., K + 1), the background's first.
        config: class_loss. A softmax's scores and the background's add up to 1; sigmoids are
            independent of each other.

    Returns:
        (..., K) float32.
    """
    logits = at_least_float32(logits)
    if config.class_loss == "softmax":
        return jax.nn.softmax(logits)[..., 1:]
    return jax.nn.sigmoid(logits[..., 1:])


def _detect_in_image(
    output: BoxOutput, proposals: Proposals, image_size: Array, config: ModelConfig
) -> Detections:
    wanted = config.detections
    probabilities = class_scores(output.class_logits, config.box_head)  # (R, K)
    good = proposals.valid[:, None] & (probabilities > wanted.score_threshold)
    scores = jnp.where(good, probabilities, -jnp.inf).reshape(-1)  # (R, K) -> (R*K,)
    num_classes = probabilities.shape[1]

    def boxes_of(pairs: Array) -> Boxes:
        """Boxes of (RoI, class) pairs, and their classes: most pairs are never decoded."""
        roi, label = pairs // num_classes, pairs % num_classes
        deltas = output.deltas[roi, jnp.minimum(label, output.deltas.shape[1] - 1)]
        boxes = decode(deltas, proposals.boxes[roi], config.box_head.coder_weights)
        boxes = clip(boxes, image_size)
        return Boxes(boxes, label, has_area(boxes, wanted.min_size) & jnp.isfinite(boxes).all(1))

    pairs, scores, kept = _suppress(scores, boxes_of, wanted)
    boxes, label, _ = boxes_of(pairs)
    return Detections(
        boxes=jnp.where(kept[:, None], boxes, 0.0),
        scores=jnp.where(kept, scores, 0.0),
        labels=jnp.where(kept, label + 1, 0),
        valid=kept,
    )


def _suppress(
    scores: Array, boxes_of: Callable[[Array], Boxes], config: DetectionsConfig
) -> tuple[Array, Array, Array]:
    """NMS or soft-NMS among all pairs (M,) of an image: pairs, scores and mask of what is kept."""
    most = config.max_detections
    if config.soft_nms == "none":
        pairs, kept = nms_in_rounds(scores, boxes_of, config.nms_iou, most, AT_A_TIME)
        return pairs, scores[pairs], kept
    boxes, label, valid = boxes_of(jnp.arange(len(scores), dtype=jnp.int32))
    return soft_nms(
        boxes,
        scores,
        valid & jnp.isfinite(scores),
        config.nms_iou,
        most,
        groups=label,
        method=config.soft_nms,
        sigma=config.soft_nms_sigma,
        score_threshold=config.score_threshold,
    )

"""From the box head's answer to detections (Fast R-CNN, section 3.1)."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.config import DetectionsConfig, ModelConfig
from jaxrcnn.ops.boxes import clip, decode
from jaxrcnn.ops.nms import nms, soft_nms
from jaxrcnn.types import Array, BoxOutput, Detections, Proposals, at_least_float32


@jax.named_scope("detect")
def detect(
    output: BoxOutput,
    proposals: Proposals,
    image_sizes: Array,
    config: ModelConfig,
) -> Detections:
    """Per-class scores and boxes of every image, NMS within each class.

    Args:
        output: class_logits (N, R, K + 1) and deltas (N, R, K or 1, 4).
        proposals: (N, R, ...) what the deltas are relative to.
        image_sizes: (N, 2) height and width of the images inside the padding.
        config: detections (thresholds and counts) and box_head.coder_weights.

    Returns:
        Detections (N, D, ...), D = max_detections.
    """

    def of_image(output: BoxOutput, proposals: Proposals, image_size: Array) -> Detections:
        candidates = _candidates(output, proposals, image_size, config)
        return _suppress(*candidates, config.detections)

    return jax.vmap(of_image)(output, proposals, image_sizes)


def _candidates(
    output: BoxOutput,
    proposals: Proposals,
    image_size: Array,
    config: ModelConfig,
) -> tuple[Array, Array, Array, Array]:
    """Best (RoI, class) pairs of one image: boxes (M, 4), scores (M,), class (M,), valid (M,)."""
    wanted = config.detections
    probabilities = jax.nn.softmax(at_least_float32(output.class_logits))[:, 1:]  # (R, K)
    good = proposals.valid[:, None] & (probabilities > wanted.score_threshold)
    num_classes = probabilities.shape[1]
    # Only the best pairs are decoded: (R, K) -> (R*K,) -> (M,)
    scores, best = lax.top_k(
        jnp.where(good, probabilities, -jnp.inf).reshape(-1), min(wanted.pre_nms, good.size)
    )
    roi, label = best // num_classes, best % num_classes
    deltas = output.deltas[roi, jnp.minimum(label, output.deltas.shape[1] - 1)]
    boxes = clip(decode(deltas, proposals.boxes[roi], config.box_head.coder_weights), image_size)
    sides = boxes[:, 2:] - boxes[:, :2]
    large = (sides > 0).all(1) & (sides >= wanted.min_size).all(1)
    return boxes, scores, label, large & jnp.isfinite(scores) & jnp.isfinite(boxes).all(1)


def _suppress(
    boxes: Array, scores: Array, label: Array, valid: Array, config: DetectionsConfig
) -> Detections:
    """NMS, or soft-NMS, among the candidates of one image."""
    most = config.max_detections
    if config.soft_nms == "none":
        index, kept = nms(boxes, scores, valid, config.nms_iou, most, groups=label)
        scores = scores[index]
    else:
        index, scores, kept = soft_nms(
            boxes,
            scores,
            valid,
            config.nms_iou,
            most,
            groups=label,
            method=config.soft_nms,
            sigma=config.soft_nms_sigma,
            score_threshold=config.score_threshold,
        )
    return Detections(
        boxes=jnp.where(kept[:, None], boxes[index], 0.0),
        scores=jnp.where(kept, scores, 0.0),
        labels=jnp.where(kept, label[index] + 1, 0),
        valid=kept,
    )

"""Hard example mining: of all proposals, the second stage trains on those of largest loss.

Online hard example mining (OHEM, arXiv 1604.03540, section 4) and the `hard_example_miner` of
TensorFlow's Object Detection API (TF OD API, `core/losses.py`) are one algorithm: of the RoIs of an
image the one of largest loss is kept, those that overlap it by more than 0.7 are dropped, and so
on until enough are kept. As both describe it, a RoI drops others whatever their labels are; OHEM's
released code suppresses within each label.

Two things of TF OD API are meant here as it says and not as it does: every image of a batch is
mined (a return within its loop over the images leaves it the first), and the limits on the
background work (its Faster R-CNN never hands the labels on that they need).
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.config import BoxHeadConfig, HardExampleConfig
from jaxrcnn.ops.nms import nms
from jaxrcnn.stages.losses import RoiLosses, roi_losses
from jaxrcnn.types import Array, BoxOutput, RoiSamples


@jax.named_scope("mine_hard_examples")
def mine_hard_examples(
    output: BoxOutput,
    rois: RoiSamples,
    image_weights: Array,
    config: BoxHeadConfig,
    roi_losses: RoiLosses = roi_losses,
) -> RoiSamples:
    """The same RoIs, of which in every image only the hardest stay valid.

    The choice has no gradient. What is dropped has none either, and does not count in the losses'
    normaliser.

    Args:
        output: (N, S, ...) the box head's answer.
        rois: (N, S, ...) the RoIs it was asked about.
        image_weights: (N,).
        config: mining, and kind and factors of the losses.
        roi_losses: what every RoI adds to the losses.
    """
    mining = config.mining
    if not mining.keep:
        return rois
    box_class, box_reg = lax.stop_gradient(roi_losses(output, rois, image_weights, config))
    loss = mining.class_weight * box_class + mining.box_weight * box_reg  # (N, S)
    of_image = functools.partial(_hardest, config=mining)
    return rois._replace(valid=jax.vmap(of_image)(rois.boxes, rois.labels, loss, rois.valid))


def _hardest(
    boxes: Array, labels: Array, loss: Array, valid: Array, config: HardExampleConfig
) -> Array:
    """Which RoIs of one image are kept, (S,) bool."""
    index, kept = nms(boxes, loss, valid, config.nms_iou, config.keep)
    if config.max_negatives_per_positive > 0:
        kept = _limit_negatives(kept, labels[index] == 0, config)
    # A padded index is 0: the maximum leaves that place to what has it by right.
    return jnp.zeros_like(valid).at[index].max(kept)


def _limit_negatives(kept: Array, background: Array, config: HardExampleConfig) -> Array:
    """Drop the easiest background beyond the limit, of places (D,) that come hardest first."""
    negative = kept & background
    positives = jnp.sum(kept & ~background).astype(jnp.float32)
    limit = jnp.maximum(
        config.min_negatives_per_image, config.max_negatives_per_positive * positives
    )
    return kept & ~(negative & (jnp.cumsum(negative).astype(limit.dtype) > limit))

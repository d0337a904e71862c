"""Which proposals the second stage trains on (Fast R-CNN, section 2.3)."""

import jax
import jax.numpy as jnp

from jaxrcnn.config import ModelConfig
from jaxrcnn.ops.sampling import Sampler
from jaxrcnn.stages.assignment import Thresholds, assign
from jaxrcnn.types import Array, Batch, Proposals, RoiSamples


@jax.named_scope("sample_rois")
def sample_rois(
    keys: Array,
    proposals: Proposals,
    batch: Batch,
    config: ModelConfig,
    sampler: Sampler,
) -> RoiSamples:
    """Label the proposals of every image and draw those that are trained.

    The samples' boxes and references carry the proposals' gradient; labels and matches none.
    Where hard examples are mined, all that may be trained are drawn.

    Args:
        keys: (N,) one an image.
        proposals: (N, R, ...).
        batch: ground truth.
        config: box_head (thresholds, number and share of foreground, mining), and
            proposals.append_ground_truth.
        sampler: draws from the labelled candidates.

    Returns:
        RoiSamples with (N, S, ...) arrays, S = config.box_head.samples. Where hard examples are
        mined, S is R, and G more with the ground truth.
    """
    wanted = config.box_head
    thresholds = Thresholds(wanted.foreground_iou, wanted.foreground_iou, wanted.background_iou)

    def of_image(key: Array, proposals: Proposals, truth: Batch) -> RoiSamples:
        candidates, valid = proposals.boxes, proposals.valid
        if config.proposals.append_ground_truth:
            candidates = jnp.concatenate([candidates, truth.boxes])
            valid = jnp.concatenate([valid, truth.box_valid])
        number, share = wanted.samples, wanted.foreground_fraction
        if wanted.mining.keep:  # a place for each leaves nothing to choose
            number, share = len(candidates), 1.0
        drawn = assign(
            key,
            candidates,
            valid,
            truth,
            thresholds,
            number,
            share,
            sampler,
        )
        return RoiSamples(
            boxes=candidates[drawn.index],
            references=candidates[drawn.index],
            labels=drawn.labels,
            matched_boxes=drawn.matched_boxes,
            weights=drawn.weights,
            valid=drawn.valid,
            matched=drawn.matched,
        )

    return jax.vmap(of_image)(keys, proposals, batch)

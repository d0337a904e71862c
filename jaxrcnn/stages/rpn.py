"""The region proposal network's answer, and the anchors it is trained on (paper, section 3.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxrcnn.config import AnchorConfig, RpnConfig
from jaxrcnn.ops.anchors import pyramid_anchors
from jaxrcnn.ops.sampling import Sampler
from jaxrcnn.stages.assignment import Assignment, Thresholds, assign
from jaxrcnn.types import Array, Batch, RpnOutput, at_least_float32


@jax.named_scope("draw_anchors")
def draw_anchors(
    images: Array, features: Sequence[Array], strides: Sequence[int], config: AnchorConfig
) -> tuple[Array, tuple[int, ...]]:
    """Anchors (A, 4), a constant of the traced program, and how many each level has."""
    height, width = images.shape[1:3]
    sizes = tuple((x.shape[1], x.shape[2]) for x in features)
    steps = tuple((stride, stride) for stride in strides)
    if config.spread:
        steps = tuple((height // rows, width // columns) for rows, columns in sizes)
    anchors = pyramid_anchors(
        sizes, steps, config.sizes, config.ratios, config.offset, config.rounded
    )
    per_cell = [len(level) * len(config.ratios) for level in config.sizes]
    return jnp.asarray(anchors), tuple(h * w * n for (h, w), n in zip(sizes, per_cell, strict=True))


@jax.named_scope("concatenate_levels")
def concatenate_levels(logits: Sequence[Array], deltas: Sequence[Array]) -> RpnOutput:
    """The head's maps as one list of anchors, in the order of `jaxrcnn.ops.anchors`.

    Args:
        logits: a (N, H, W, C) map for each level, C anchors a cell.
        deltas: a (N, H, W, C*4) map for each level.
    """
    n = logits[0].shape[0]
    return RpnOutput(
        # (N, H, W, C) -> (N, H*W*C) -> (N, A)
        objectness=at_least_float32(jnp.concatenate([x.reshape(n, -1) for x in logits], 1)),
        # (N, H, W, C*4) -> (N, H*W*C, 4) -> (N, A, 4)
        deltas=at_least_float32(jnp.concatenate([x.reshape(n, -1, 4) for x in deltas], 1)),
    )


@jax.named_scope("sample_anchors")
def sample_anchors(
    keys: Array, anchors: Array, batch: Batch, config: RpnConfig, sampler: Sampler
) -> Assignment:
    """Label the anchors of every image and draw those that are trained (section 3.1.2).

    Args:
        keys: (N,) one an image.
        anchors: (A, 4) pixels.
        batch: ground truth.
        config: thresholds, number and share of foreground.
        sampler: draws from the labelled anchors.

    Returns:
        Assignment with (N, S, ...) arrays, S = config.samples.
    """
    thresholds = Thresholds(
        config.foreground_iou, config.background_iou, low_quality_matches=config.low_quality_matches
    )
    every = jnp.ones(len(anchors), bool)

    def of_image(key: Array, truth: Batch) -> Assignment:
        return assign(
            key,
            anchors,
            every,
            truth,
            thresholds,
            config.samples,
            config.foreground_fraction,
            sampler,
        )

    return jax.vmap(of_image)(keys, batch)

"""The batch's door: pixels are normalised, and padding goes no further."""

import jax
import jax.numpy as jnp

from jaxrcnn.config import ModelConfig
from jaxrcnn.ops.boxes import has_area
from jaxrcnn.types import Array, Batch, Proposals, at_least_float32


@jax.named_scope("clean")
def clean(batch: Batch) -> Batch:
    """Zeros where a ground-truth place is padded, so that garbage there (even NaN) is harmless.

    Boxes without area are padding too; Detectron2 filters them when it reads them.
    """
    sides = batch.boxes[..., 2:] - batch.boxes[..., :2]
    empty = (sides <= 0).any(-1)  # not where a side is NaN: that is an error to be found
    valid, ignore = batch.box_valid & ~empty, batch.box_ignore & ~empty
    real = valid | ignore
    return batch._replace(
        boxes=at_least_float32(jnp.where(real[..., None], batch.boxes, 0.0)),
        labels=jnp.where(real, batch.labels, 0),
        box_valid=valid,
        box_ignore=ignore,
        box_weights=at_least_float32(jnp.where(valid, batch.box_weights, 0.0)),
    )


@jax.named_scope("clean_proposals")
def clean_proposals(proposals: Proposals) -> Proposals:
    """Zeros where a given proposal is padded, so that garbage there (even NaN) is harmless.

    Proposals without area are padding too, as those that an RPN makes.
    """
    boxes, scores, valid = proposals
    valid &= has_area(boxes)
    return Proposals(
        boxes=at_least_float32(jnp.where(valid[..., None], boxes, 0.0)),
        scores=at_least_float32(jnp.where(valid, scores, -jnp.inf)),
        valid=valid,
    )


@jax.named_scope("normalise")
def normalise(images: Array, image_sizes: Array, config: ModelConfig) -> Array:
    """Subtract the mean, divide by the standard deviation, zero the padding.

    Args:
        images: (N, H, W, 3) uint8 or float, RGB, 0..255.
        image_sizes: (N, 2) height and width of each image inside the padding.
        config: pixel_mean and pixel_std.

    Returns:
        (N, H, W, 3) float32. Zeros beyond the image, as torchvision and Detectron2 pad.
    """
    mean, deviation = (
        jnp.asarray(x)[None, None, None] for x in (config.pixel_mean, config.pixel_std)
    )
    pixels = (images.astype(jnp.float32) - mean) / deviation
    rows = jnp.arange(images.shape[1])[None] < image_sizes[:, 0, None]  # (N, H)
    columns = jnp.arange(images.shape[2])[None] < image_sizes[:, 1, None]  # (N, W)
    inside = rows[:, :, None, None] & columns[:, None, :, None]  # (N, H, W, 1)
    return jnp.where(inside, pixels, 0.0)

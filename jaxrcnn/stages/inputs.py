"""The batch's door: pixels are normalised, and padding goes no further."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrcnn.config import ModelConfig
from jaxrcnn.ops.boxes import has_area
from jaxrcnn.types import Array, Batch, Proposals, at_least_float32

PIXELS = ("uint8", "float32", "bfloat16", "float16")


def check_images(images: Any, image_sizes: Any) -> None:
    """See, while a function is traced, that its images are a batch.

    Raises:
        ValueError: a shape or a dtype is another; says which.
    """
    _check_shape("images", images, "N H W 3", {})
    if str(images.dtype) not in PIXELS:
        raise ValueError(f"images has dtype {images.dtype}, expected uint8 or float32, 0..255")
    _check_shape("image_sizes", image_sizes, "N 2", {"N": images.shape[0]})


def _check_shape(name: str, x: Any, dimensions: str, known: dict[str, int]) -> None:
    """Compare a shape with numbers and letters, of which some are known."""
    wanted = [int(d) if d.isdecimal() else known.get(d) for d in dimensions.split()]
    shape = getattr(x, "shape", None)
    if shape is None:
        raise ValueError(f"{name} is a {type(x).__name__}, expected an array")
    if len(shape) != len(wanted) or any(
        want not in (None, side) for want, side in zip(wanted, shape, strict=True)
    ):
        letters = ", ".join(f"{d}={known[d]}" if d in known else d for d in dimensions.split())
        alone = len(shape) == len(wanted) - 1
        hint = f"; {name}[None] adds the batch dimension" if alone else ""
        raise ValueError(f"{name} has shape {tuple(shape)}, expected ({letters}){hint}")


@jax.named_scope("clean")
def clean(batch: Batch) -> Batch:
    """Zeros where a ground-truth place is padded, so that garbage there (even NaN) is harmless.

    Boxes without area are padding too; Detectron2 filters them when it reads them.

    Raises:
        ValueError: a shape is not that of a batch, see `check_images`.
    """
    check_images(batch.images, batch.image_sizes)
    known = {"N": batch.images.shape[0]}
    _check_shape("boxes", batch.boxes, "N G 4", known)
    known["G"] = batch.boxes.shape[1]
    for name in ("labels", "box_valid", "box_ignore", "box_weights"):
        _check_shape(name, getattr(batch, name), "N G", known)
    for name in ("image_index", "image_weights"):
        _check_shape(name, getattr(batch, name), "N", known)
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

    Raises:
        ValueError: a shape is not that of proposals.
    """
    boxes, scores, valid = proposals
    _check_shape("proposals.boxes", boxes, "N R 4", {})
    known = {"N": boxes.shape[0], "R": boxes.shape[1]}
    _check_shape("proposals.scores", scores, "N R", known)
    _check_shape("proposals.valid", valid, "N R", known)
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

    Raises:
        ValueError: see `check_images`.
    """
    check_images(images, image_sizes)
    mean, deviation = (
        jnp.asarray(x)[None, None, None] for x in (config.pixel_mean, config.pixel_std)
    )
    pixels = (images.astype(jnp.float32) - mean) / deviation
    rows = jnp.arange(images.shape[1])[None] < image_sizes[:, 0, None]  # (N, H)
    columns = jnp.arange(images.shape[2])[None] < image_sizes[:, 1, None]  # (N, W)
    inside = rows[:, :, None, None] & columns[:, None, :, None]  # (N, H, W, 1)
    return jnp.where(inside, pixels, 0.0)

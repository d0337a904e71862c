"""A fork as a person writes it, for the commands: `--pieces tests.cli.fork:build`."""

import jax
import jax.numpy as jnp

from jaxrcnn import detector
from jaxrcnn.detector import forward_train
from jaxrcnn.ops.roi import flatten_levels
from jaxrcnn.stages.losses import roi_losses


def first_pixels(features, strides, boxes, levels, output_size, sampling_ratio):
    """Each window holds one pixel of its map, the same for all boxes: little to compile."""
    table, _ = flatten_levels(features, strides, levels)
    with jax.named_scope("first_pixels"):
        return jnp.broadcast_to(table[0], (len(boxes), output_size, output_size, table.shape[-1]))


def halved(*arguments):
    """Half the losses of a RoI."""
    return jax.tree.map(lambda x: x / 2, roi_losses(*arguments))


def infer(*arguments):
    """The house's, in a scope of its own."""
    with jax.named_scope("mine"):
        found = detector.forward_infer(*arguments)
        return found._replace(scores=jnp.sort(found.scores * 2) / 2)


def build(config):
    """With a RoI op of its own."""
    return detector.build(config, roi_op=first_pixels)


def build_losses(config):
    """And with losses of its own, which only training needs."""
    return build(config)._replace(roi_losses=halved)


def build_infer(config):
    """With an inference pass of its own."""
    return detector.build(config, infer=infer)


def train_with_masks(detector, variables, batch, *arguments, **options):
    """Needs what the transforms of a data set add to its batches."""
    assert batch.extra["mask"].any()
    return forward_train(detector, variables, batch, *arguments, **options)


def build_masks(config):
    """With a training pass that only batches with masks can have."""
    return build(config)._replace(train=train_with_masks)


def build_nothing(config):
    """What a person may forget to return."""

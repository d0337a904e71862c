"""Our own gate and losses keep the contracts, and one that breaks a promise is found out."""

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import BoxHeadConfig
from jaxrcnn.ops.gradient import scale_gradient
from jaxrcnn.stages.gate import gate
from jaxrcnn.stages.losses import roi_losses
from tests.contracts import check_gate, check_roi_losses


def test_our_gate_keeps_the_contract():
    check_gate(gate)


def boxes_alone(rois, config, gates=None):
    return gate(rois, config, gates).boxes


def as_half(rois, config, gates=None):
    return rois._replace(boxes=gate(rois, config, gates).boxes.astype(jnp.float16))


def moves_boxes(rois, config, gates=None):
    return rois._replace(boxes=gate(rois, config, gates).boxes + 1)


def drops_labels(rois, config, gates=None):
    return gate(rois, config, gates)._replace(labels=rois.labels * 0)


def always_open(rois, config, gates=None):
    return rois


def infinite(rois, config, gates=None):
    return gate(rois, config, gates)._replace(boxes=scale_gradient(rois.boxes, jnp.inf))


def by_the_padding(rois, config, gates=None):
    """Values stay, but a padded row gets the gradient of the others."""
    opened = gate(rois, config, gates)
    mean = opened.boxes.mean(1, keepdims=True)
    return opened._replace(boxes=opened.boxes + (mean - jax.lax.stop_gradient(mean)))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (boxes_alone, "returns RoiSamples"),
        (as_half, "shapes and dtypes stay"),
        (moves_boxes, "values stay as they are, those of boxes"),
        (drops_labels, "those of labels"),
        (always_open, "gates of 0"),
        (infinite, "gradients are finite"),
        (by_the_padding, "a padded row has no gradient"),
    ],
)
def test_a_broken_gate_is_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_gate(broken)


@pytest.mark.parametrize(
    "config",
    [
        BoxHeadConfig(),
        BoxHeadConfig(class_loss="focal", box_loss="giou"),
        BoxHeadConfig(per_class_weights=(1.0, 2.0, 0.5, 3.0), box_loss="huber"),
    ],
    ids=["default", "focal", "weighted"],
)
def test_our_losses_keep_the_contract(config):
    check_roi_losses(roi_losses, config)


def the_sums(*arguments):
    return tuple(x.sum() for x in roi_losses(*arguments))


def of_the_class_alone(*arguments):
    return roi_losses(*arguments)[0]


def half_losses(*arguments):
    return tuple(x.astype(jnp.bfloat16) for x in roi_losses(*arguments))


def of_padding_too(output, rois, weights, config):
    everything = rois._replace(valid=jnp.ones_like(rois.valid))
    return roi_losses(output, everything, weights, config)[0], roi_losses(
        output, rois, weights, config
    )[1]


def of_backgrounds_boxes(output, rois, weights, config):
    objects = rois._replace(labels=jnp.maximum(rois.labels, 1))
    box_class, _ = roi_losses(output, rois, weights, config)
    return box_class, roi_losses(output, objects, weights, config)[1]


def by_the_hardest(*arguments):
    box_class, box_reg = roi_losses(*arguments)
    return box_class**2 / (box_class.max(1, keepdims=True) + 1e-9), box_reg


def without_weights(output, rois, weights, config):
    ones = jnp.sign(weights)
    return roi_losses(output, rois, ones, config)


def without_box_weights(output, rois, weights, config):
    return roi_losses(output, rois._replace(weights=jnp.ones_like(rois.weights)), weights, config)


def not_finite(*arguments):
    box_class, box_reg = roi_losses(*arguments)
    return box_class, jnp.where(box_reg > 0, jnp.inf, 0)


def infinite_gradient(*arguments):
    box_class, box_reg = roi_losses(*arguments)
    return box_class, box_reg + jnp.sqrt(box_class - box_class)


def untrained(output, *arguments):
    fixed = output._replace(deltas=jax.lax.stop_gradient(output.deltas))
    return roi_losses(fixed, *arguments)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (the_sums, "a loss for every RoI"),
        (of_the_class_alone, "returns two"),
        (half_losses, "losses are float32"),
        (of_padding_too, "not valid adds nothing"),
        (of_backgrounds_boxes, "the background has no box loss"),
        (by_the_hardest, "RoIs do not see each other"),
        (without_weights, "weight of an image"),
        (without_box_weights, "weight of a RoI"),
        (not_finite, "losses are finite"),
        (infinite_gradient, "gradients are finite"),
        (untrained, "logits and deltas are trained"),
    ],
)
def test_broken_losses_are_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_roi_losses(broken)

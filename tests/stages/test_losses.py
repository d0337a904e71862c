"""The losses against plain numpy."""

import functools

import jax
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig, RpnConfig
from jaxrcnn.stages.assignment import Assignment
from jaxrcnn.stages.losses import box_head_losses, box_loss, regression_loss, rpn_losses
from jaxrcnn.types import BoxOutput, RoiSamples, RpnOutput

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def random_boxes(rng, *shape):
    corner = rng.uniform(0, 50, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 40, (*shape, 2))], -1).astype("f4")


def numpy_encode(boxes, references, weights):
    side, reference = boxes[..., 2:] - boxes[..., :2], references[..., 2:] - references[..., :2]
    centre = (boxes[..., 2:] + boxes[..., :2]) / 2 - (references[..., 2:] + references[..., :2]) / 2
    deltas = np.concatenate([centre / reference, np.log(side / reference)], -1)
    return deltas * np.asarray(weights)


@pytest.mark.parametrize(
    ("kind", "beta", "expected"),
    [
        ("l1", 1.0, [0.25, 1.0, 3.0]),
        ("smooth_l1", 0.0, [0.25, 1.0, 3.0]),
        ("smooth_l1", 1.0, [0.03125, 0.5, 2.5]),
        ("smooth_l1", 0.5, [0.0625, 0.75, 2.75]),
        ("huber", 2.0, [0.03125, 0.5, 4.0]),
    ],
)
def test_regression_losses_by_hand(kind, beta, expected):
    error = np.array([-0.25, 1.0, -3.0], np.float32)
    got = jax.jit(functools.partial(regression_loss, kind=kind, beta=beta))(error)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_iou_losses_compare_decoded_boxes(kind):
    rng = np.random.default_rng(0)
    references, targets = random_boxes(rng, 6), random_boxes(rng, 6)
    loss = jax.jit(
        lambda d, r, t: box_loss(d, r, t, WEIGHTS, kind, 1.0)  # type: ignore[arg-type]
    )
    exact = numpy_encode(targets, references, WEIGHTS).astype("f4")
    np.testing.assert_allclose(loss(exact, references, targets), np.zeros(6), atol=1e-5)
    assert (np.asarray(loss(exact + 0.5, references, targets)) > 1e-3).all()


@pytest.fixture
def rpn():
    rng = np.random.default_rng(1)
    n, a, s = 3, 11, 6
    output = RpnOutput(
        rng.normal(size=(n, a)).astype("f4"), rng.normal(size=(n, a, 4)).astype("f4")
    )
    anchors = random_boxes(rng, a)
    index = rng.integers(0, a, (n, s)).astype(np.int32)
    foreground = np.arange(s)[None] < np.array([[2], [0], [3]])
    samples = Assignment(
        index=index,
        valid=np.arange(s)[None] < np.array([[6], [4], [5]]),
        foreground=foreground,
        labels=foreground.astype(np.int32),
        matched_boxes=np.where(foreground[..., None], random_boxes(rng, n, s), anchors[index]),
        weights=np.where(foreground, rng.uniform(0.5, 2, (n, s)), 1).astype("f4"),
        matched=np.zeros((n, s), np.int32),
    )
    return output, anchors, samples


@pytest.mark.parametrize(
    ("image_weights", "loss_mean", "count"),
    [
        # Detectron2 divides by the anchors asked for in all images, torchvision by those that
        # were drawn: 6, 4 and 5. Images of weight 0 are padding.
        ([1, 1, 1], "asked", 18),
        ([2, 0.5, 1], "asked", 18),
        ([1, 0, 1], "asked", 12),
        ([2, 0.5, 1], "drawn", 15),
        ([1, 0, 1], "drawn", 11),
    ],
)
def test_rpn_losses_with_image_and_box_weights(rpn, image_weights, loss_mean, count):
    output, anchors, samples = rpn
    image_weights = np.array(image_weights, np.float32)
    config = RpnConfig(
        samples=6,
        loss_mean=loss_mean,
        box_loss="smooth_l1",
        box_loss_beta=0.5,
        coder_weights=WEIGHTS,
        objectness_weight=2.0,
        box_weight=3.0,
    )
    objectness = regression = 0.0
    for n in range(3):
        for s in range(6):
            if not samples.valid[n, s]:
                continue
            i, weight = samples.index[n, s], samples.weights[n, s] * image_weights[n]
            probability = 1 / (1 + np.exp(-float(output.objectness[n, i])))
            right = probability if samples.foreground[n, s] else 1 - probability
            objectness += -np.log(right) * weight
            if samples.foreground[n, s]:
                target = numpy_encode(samples.matched_boxes[n, s], anchors[i], WEIGHTS)
                error = np.abs(output.deltas[n, i] - target)
                terms = np.where(error < 0.5, error**2, error - 0.25)
                regression += terms.sum() * weight
    got = jax.jit(rpn_losses, static_argnums=4)(output, anchors, samples, image_weights, config)
    np.testing.assert_allclose(got, [2 * objectness / count, 3 * regression / count], rtol=1e-5)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("image_weights", [[1, 1], [0.5, 2], [1, 0]])
def test_box_head_losses_with_image_and_box_weights(class_agnostic, image_weights):
    rng = np.random.default_rng(2)
    image_weights = np.array(image_weights, np.float32)
    n, s, k = 2, 5, 3
    labels = np.array([[1, 3, 0, 0, 2], [2, 0, 0, 0, 0]], np.int32)
    valid = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], bool)
    boxes = random_boxes(rng, n, s)
    samples = RoiSamples(
        np.full_like(boxes, np.nan),  # where was pooled is of no matter here
        boxes,
        labels,
        np.where(labels[..., None] > 0, random_boxes(rng, n, s), boxes),
        np.where(labels > 0, rng.uniform(0.5, 2, (n, s)), 1).astype("f4"),
        valid,
        np.zeros_like(labels),
    )
    output = BoxOutput(
        rng.normal(size=(n, s, k + 1)).astype("f4"),
        rng.normal(size=(n, s, 1 if class_agnostic else k, 4)).astype("f4"),
    )
    config = BoxHeadConfig(box_loss="l1", class_weight=2.0, box_weight=3.0)
    cross_entropy = regression = 0.0
    for i, j in np.argwhere(valid):
        label, weight = labels[i, j], samples.weights[i, j] * image_weights[i]
        logits = output.class_logits[i, j].astype(np.float64)
        cross_entropy += (np.log(np.exp(logits).sum()) - logits[label]) * weight
        if label:
            deltas = output.deltas[i, j, 0 if class_agnostic else label - 1]
            target = numpy_encode(samples.matched_boxes[i, j], boxes[i, j], config.coder_weights)
            regression += np.abs(deltas - target).sum() * weight
    count = valid[image_weights > 0].sum()
    got = jax.jit(box_head_losses, static_argnums=3)(output, samples, image_weights, config)
    expected = [2 * cross_entropy / count, 3 * regression / count]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_nothing_drawn_costs_nothing():
    zeros, labels = np.zeros((1, 2, 4), np.float32), np.zeros((1, 2), np.int32)
    samples = RoiSamples(zeros, zeros, labels, zeros, np.ones((1, 2)), zeros[..., 0] > 0, labels)
    output = BoxOutput(np.full((1, 2, 3), np.nan, np.float32), np.zeros((1, 2, 2, 4), np.float32))
    got = jax.jit(box_head_losses, static_argnums=3)(
        output, samples, np.ones(1, np.float32), BoxHeadConfig()
    )
    np.testing.assert_array_equal(got, [0, 0])

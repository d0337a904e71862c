"""The losses against plain numpy."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig, RpnConfig
from jaxrcnn.stages.assignment import Assignment
from jaxrcnn.stages.losses import (
    box_head_losses,
    box_loss,
    class_loss,
    focal_loss,
    regression_loss,
    roi_losses,
    rpn_losses,
    sigmoid_loss,
    softmax_loss,
)
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


# Recorded with torch 2.14.1 and torchvision 0.29.1 in float64, from these logits without their
# first column, the background's, and the labels' one-hot rows; summed over the classes.
LOGITS = [
    [0.3, -1.2, 0.7, 2.1],
    [1.5, 3.0, -0.4, -2.2],
    [-0.8, 0.1, 1.9, 0.6],
    [2.5, -3.1, -0.2, 0.9],
]
LABELS = [3, 1, 0, 2]
CLASS_WEIGHTS = (0.5, 1.0, 2.0, 4.0)
# torchvision.ops.sigmoid_focal_loss by alpha and gamma
FOCAL = {
    (0.25, 2.0): [0.3803325505666565, 0.06277796088634723, 1.6356635579729917, 0.5308894031900744],
    (0.6, 0.5): [0.43427143504564364, 0.1496206333953833, 1.3100402737445367, 0.7773608148626129],
    (0.5, 0.0): [0.740994019701622, 0.33334296187119533, 1.9106356844212085, 1.0416783560261267],
}
# torch.nn.functional.binary_cross_entropy_with_logits
SIGMOID = [1.481988039403244, 0.6666859237423907, 3.821271368842417, 2.0833567120522534]
# torch.nn.functional.cross_entropy of all columns, without and with weight=CLASS_WEIGHTS
SOFTMAX = [0.3707211462318209, 0.2327136075192803, 3.1088169470780076, 2.9412191151147304]
WEIGHTED = [1.4828845849272836, 0.2327136075192803, 1.5544084735390038, 5.882438230229461]


def of_recorded(loss, *arguments):
    return loss(np.array(LOGITS, np.float32), np.array(LABELS, np.int32), *arguments)


@pytest.mark.parametrize(("alpha", "gamma"), FOCAL)
def test_focal_loss_is_torchvisions(alpha, gamma):
    got = of_recorded(focal_loss, alpha, gamma)
    np.testing.assert_allclose(got, FOCAL[alpha, gamma], rtol=1e-5)


def test_sigmoid_and_softmax_losses_are_torchs():
    np.testing.assert_allclose(of_recorded(sigmoid_loss), SIGMOID, rtol=1e-5)
    np.testing.assert_allclose(of_recorded(softmax_loss), SOFTMAX, rtol=1e-5)
    np.testing.assert_allclose(of_recorded(softmax_loss, CLASS_WEIGHTS), WEIGHTED, rtol=1e-5)


CONFIGS = {
    "softmax": BoxHeadConfig(),
    "weighted": BoxHeadConfig(per_class_weights=CLASS_WEIGHTS),
    "sigmoid": BoxHeadConfig(class_loss="sigmoid"),
    "focal": BoxHeadConfig(class_loss="focal"),
    "focal, other factors": BoxHeadConfig(class_loss="focal", focal_alpha=0.6, focal_gamma=0.5),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", SOFTMAX),
        ("weighted", WEIGHTED),
        ("sigmoid", SIGMOID),
        ("focal", FOCAL[0.25, 2.0]),
        ("focal, other factors", FOCAL[0.6, 0.5]),
    ],
)
def test_the_config_says_which_class_loss(name, expected):
    np.testing.assert_allclose(of_recorded(class_loss, CONFIGS[name]), expected, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_of_class_losses_are_finite_differences(name):
    with jax.enable_x64(True):
        logits, labels = np.array(LOGITS), np.array(LABELS)
        total = jax.jit(lambda x: class_loss(x, labels, CONFIGS[name]).sum())
        gradient = np.asarray(jax.grad(total)(logits))
        assert gradient.dtype == np.float64
        step, expected = 1e-5, np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            moved = np.zeros_like(logits)
            moved[place] = step
            expected[place] = (total(logits + moved) - total(logits - moved)) / (2 * step)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)
    # Sigmoids have no use for the background's logit.
    assert (gradient[:, 0] == 0).tolist() == [CONFIGS[name].class_loss != "softmax"] * 4


@pytest.mark.parametrize("name", CONFIGS)
def test_extreme_logits_have_finite_class_losses_and_gradients(name):
    big = 1e4
    # Right, wrong, and neither; three classes.
    logits = np.array(
        [[-big, big, -big, -big], [big, -big, big, big], [big, big, big, big], [-big] * 4],
        np.float32,
    )
    labels = np.array([1, 1, 0, 0], np.int32)
    loss = class_loss(logits, labels, CONFIGS[name])
    gradient = jax.grad(lambda x: class_loss(x, labels, CONFIGS[name]).sum())(logits)
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()
    assert loss[0] == 0
    expected = {  # of the wrong RoI: alpha of its own class, 1 - alpha of the two others
        "softmax": 2 * big + math.log(3),
        "weighted": 2 * big + math.log(3),
        "sigmoid": 3 * big,
        "focal": 0.25 * big + 2 * 0.75 * big,
        "focal, other factors": 0.6 * big + 2 * 0.4 * big,
    }
    np.testing.assert_allclose(loss[1], expected[name], rtol=1e-6)


def numpy_class_loss(logits, label, config):
    """Of one RoI, term by term from the probabilities."""
    if config.class_loss == "softmax":
        weights = config.per_class_weights or (1.0,) * len(logits)
        return -weights[label] * math.log(math.exp(logits[label]) / sum(map(math.exp, logits)))
    total = 0.0
    for one, logit in enumerate(logits[1:], start=1):
        probability = 1 / (1 + math.exp(-logit))
        right = probability if one == label else 1 - probability
        factor = 1.0
        if config.class_loss == "focal":
            alpha = config.focal_alpha if one == label else 1 - config.focal_alpha
            factor = alpha * (1 - right) ** config.focal_gamma
        total += -factor * math.log(right)
    return total


@pytest.mark.parametrize("name", CONFIGS)
def test_class_losses_with_image_box_and_class_weights(name):
    rng = np.random.default_rng(3)
    n, s, k = 2, 5, 3
    image_weights = np.array([0.5, 2.0], np.float32)
    labels = np.array([[1, 3, 0, 0, 2], [2, 0, 0, 1, 0]], np.int32)
    valid = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], bool)
    boxes = random_boxes(rng, n, s)
    weights = rng.uniform(0.5, 2, (n, s)).astype("f4")
    samples = RoiSamples(boxes, boxes, labels, boxes, weights, valid, np.zeros_like(labels))
    logits = rng.normal(size=(n, s, k + 1)).astype("f4")
    config = dataclasses.replace(CONFIGS[name], class_weight=3.0)

    def of(logits):
        output = BoxOutput(logits, jnp.zeros((n, s, k, 4)))
        return roi_losses(output, samples, image_weights, config)[0]

    expected = np.zeros((n, s))
    for i, j in np.argwhere(valid):
        weight = 3.0 * samples.weights[i, j] * image_weights[i]
        expected[i, j] = weight * numpy_class_loss(logits[i, j].tolist(), labels[i, j], config)
    np.testing.assert_allclose(of(logits), expected, rtol=1e-5)
    gradient = np.asarray(jax.grad(lambda x: of(x).sum())(logits))
    assert ((gradient == 0).all(2) == ~valid).all()


def test_a_class_weight_of_zero_ignores_its_rois_but_counts_them():
    ignored = np.array([[2, 1, 2, 0]], np.int32)
    boxes = random_boxes(np.random.default_rng(4), 1, 4)
    ones = np.ones((1, 4), np.float32)
    samples = RoiSamples(boxes, boxes, ignored, boxes, ones, ones > 0, np.zeros_like(ignored))
    config = BoxHeadConfig(per_class_weights=(1.0, 1.0, 0.0, 1.0))

    def of(logits):
        output = BoxOutput(logits, jnp.zeros((1, 4, 3, 4)))
        return box_head_losses(output, samples, np.ones(1, np.float32), config)[0]

    logits = np.array([LOGITS], np.float32)
    # By hand from the recorded logits: RoIs 1 and 3 are of labels 1 and 0, and 4 RoIs count.
    of_background = math.log(sum(map(math.exp, LOGITS[3]))) - LOGITS[3][0]
    np.testing.assert_allclose(of(logits), (SOFTMAX[1] + of_background) / 4, rtol=1e-5)
    gradient = np.asarray(jax.grad(of)(logits))
    assert ((gradient[0] == 0).all(1) == (ignored[0] == 2)).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_class_losses_promote_no_types(name):
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        logits = jnp.array([LOGITS], jnp.bfloat16)
        loss = class_loss(logits, jnp.array([LABELS], jnp.int32), CONFIGS[name])
    assert (loss.shape, loss.dtype) == ((1, 4), jnp.float32)

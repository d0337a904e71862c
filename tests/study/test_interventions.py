"""Values by numpy, gradients by finite differences in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig, ConfigError, ProposalsConfig
from jaxrcnn.detector import build
from jaxrcnn.stages.losses import roi_losses
from jaxrcnn.study import interventions
from jaxrcnn.study.interventions import (
    PIXELS,
    anchor_normaliser,
    anchor_sides,
    constant_normaliser,
    constant_normaliser_losses,
    gate_of_objects,
    measured_in,
    pixel_normaliser,
    pixel_normaliser_losses,
    train_in_anchors,
)
from jaxrcnn.types import BoxOutput, Flow, RoiSamples, RpnOutput
from tests.tiny import MODEL, change, make_batch, make_variables

CONFIG = BoxHeadConfig(box_loss="smooth_l1", box_loss_beta=0.5, box_weight=3.0)
LABELS = np.array([[1, 3, 0, 2], [2, 0, 1, 0]], np.int32)
VALID = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
WEIGHTS = np.array([0.5, 2.0])


def random_boxes(rng, *shape):
    corner = rng.uniform(0, 50, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 40, (*shape, 2))], -1)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 2, 4)
    rois = RoiSamples(
        boxes=boxes,
        references=boxes,
        labels=LABELS,
        matched_boxes=random_boxes(rng, 2, 4),
        weights=rng.uniform(0.5, 2, (2, 4)),
        valid=VALID,
        matched=np.zeros((2, 4), np.int32),
    )
    logits, deltas = rng.normal(size=(2, 4, 4)), rng.normal(0, 2, (2, 4, 3, 4))
    return BoxOutput(logits, deltas), rois, rng.uniform(10, 40, (2, 4, 2))


def numpy_losses(deltas, references, rois, centre_sides, unit):
    """Box loss of every RoI; centres are divided by one kind of sides and measured in another."""
    loss = np.zeros(LABELS.shape)
    for n, s in np.argwhere(VALID & (LABELS > 0)):
        box, truth, d = references[n, s], rois.matched_boxes[n, s], deltas[n, s, LABELS[n, s] - 1]
        centre, side = (box[2:] + box[:2]) / 2, box[2:] - box[:2]
        goal, true_side = (truth[2:] + truth[:2]) / 2, truth[2:] - truth[:2]
        predicted = centre + d[:2] / 10 * centre_sides(n, s, side)
        of_centre = 10 * (predicted - goal) / unit(n, s, side)
        of_side = d[2:] - 5 * np.log(true_side / side)
        error = np.abs(np.concatenate([of_centre, of_side]))
        terms = np.where(error < 0.5, error**2, error - 0.25)
        loss[n, s] = 3 * terms.sum() * rois.weights[n, s] * WEIGHTS[n]
    return loss


def with_sides(output, rois, image_weights, config, sides):
    return roi_losses(*measured_in(sides, output, rois, config), image_weights, config)


def kinds(case):
    """By name: the losses, and those of numpy as a function of deltas and references."""
    _, rois, sides = case
    first = rois.references[..., 2:] - rois.references[..., :2]

    def own(n, s, side):
        return side

    def constant(n, s, side):
        return first[n, s]

    def in_numpy(centre_sides, unit):
        return functools.partial(numpy_losses, rois=rois, centre_sides=centre_sides, unit=unit)

    return {
        "constant": (constant_normaliser_losses, in_numpy(constant, constant)),
        "pixel": (pixel_normaliser_losses, in_numpy(own, lambda n, s, side: PIXELS)),
        "anchor": (
            functools.partial(with_sides, sides=sides),
            in_numpy(own, lambda n, s, side: sides[n, s]),
        ),
    }


@pytest.mark.parametrize("name", ["constant", "pixel", "anchor"])
def test_values_are_numpys_and_gradients_finite_differences(name, case):
    (output, rois, _), (losses, expected) = case, kinds(case)[name]

    def total(deltas, references):
        given = output._replace(deltas=deltas), rois._replace(references=references)
        box_class, box_reg = losses(*given, WEIGHTS, CONFIG)
        return box_reg.sum(), (box_class, box_reg)

    with jax.enable_x64(True):
        values = output.deltas, rois.references
        gradients, (box_class, box_reg) = jax.jit(jax.grad(total, (0, 1), has_aux=True))(*values)
        of_library, _ = roi_losses(output, rois, WEIGHTS, CONFIG)
    np.testing.assert_array_equal(box_class, of_library)
    np.testing.assert_allclose(box_reg, expected(*values), rtol=1e-9)
    step = 1e-6
    for which, gradient in enumerate(gradients):
        differences = np.zeros_like(gradient)
        for place in np.ndindex(gradient.shape):
            totals = []
            for sign in (1, -1):
                moved = [np.array(x) for x in values]
                moved[which][place] += sign * step
                totals.append(expected(*moved).sum())
            differences[place] = (totals[0] - totals[1]) / (2 * step)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6)
        of_roi = np.abs(gradient).reshape(*LABELS.shape, -1).max(-1)
        np.testing.assert_array_equal(of_roi > 0, VALID & (LABELS > 0))


def test_constant_normaliser_changes_no_value_and_only_the_gradient_in_the_sides(case):
    output, rois, _ = jax.tree.map(lambda x: x.astype("f4") if x.dtype == "f8" else x, case)

    def total(references, losses):
        box_class, box_reg = losses(output, rois._replace(references=references), WEIGHTS, CONFIG)
        return box_reg.sum(), (box_class, box_reg)

    (theirs, of_library), (ours, of_own) = (
        jax.grad(functools.partial(total, losses=losses), has_aux=True)(rois.references)
        for losses in (roi_losses, constant_normaliser_losses)
    )
    jax.tree.map(np.testing.assert_array_equal, of_own, of_library)
    along = [g[..., :2] + g[..., 2:] for g in (ours, theirs)]  # both corners move as the centre
    np.testing.assert_allclose(*along, rtol=1e-4, atol=1e-5)
    across = [g[..., 2:] - g[..., :2] for g in (ours, theirs)]
    foreground = VALID & (LABELS > 0)
    assert (np.abs(across[0] - across[1])[foreground] > 1e-3).all()


def test_anchor_sides_are_those_of_the_anchor_whose_box_the_roi_is():
    anchors = np.array([(0, 0, 10, 20), (0, 0, 30, 10), (20, 20, 60, 28)], np.float32)
    deltas = np.zeros((2, 3, 4), np.float32)
    deltas[0, 0] = 0.5, 0.5, np.log(2), 0  # (0, 10, 20, 30)
    deltas[0, 2] = 0, 0, np.log(2), 0  # (0, 20, 80, 28), which is clipped to (0, 20, 50, 28)
    rois = np.array(
        [
            [(0, 20, 50, 28), (0, 10, 20, 30), (1, 9, 22, 30)],  # the last is no anchor's
            [(0, 0, 30, 10), (20, 20, 50, 28), (0, 0, 10, 20)],
        ],
        np.float32,
    )
    samples = RoiSamples(None, rois, *[None] * 5)
    flow = Flow(None, RpnOutput(None, deltas), None, samples, None, anchors, None)
    sides = anchor_sides(flow, np.array([[64, 50], [64, 50]]), MODEL)
    np.testing.assert_array_equal(
        sides, [[(40, 8), (10, 20), (10, 20)], [(30, 10), (40, 8), (10, 20)]]
    )


OPEN = change(
    MODEL, proposals={"stop_gradient": False}, box_head={"foreground_iou": 0.1, "samples": 12}
)


@functools.partial(jax.jit, static_argnums=0)
def trained(detector, variables, batch):
    return detector.train(detector, variables, batch, jax.random.key(0))


def test_the_pass_in_anchors_has_the_loss_of_its_own_anchors():
    detector, batch = anchor_normaliser(OPEN), make_batch()
    assert detector.train is train_in_anchors
    losses, _, flow = trained(detector, make_variables(build(OPEN)), batch)
    rois, total, count = flow.rois, 0.0, int(flow.rois.valid.sum())
    sides = np.asarray(anchor_sides(flow, batch.image_sizes, OPEN))
    possible = {tuple(x) for x in np.asarray(flow.anchors[:, 2:] - flow.anchors[:, :2]).tolist()}
    for n, s in np.argwhere(rois.valid & (rois.labels > 0)):
        box, truth = (np.asarray(x[n, s], float) for x in (rois.references, rois.matched_boxes))
        d, side = np.asarray(flow.output.deltas[n, s, rois.labels[n, s] - 1]), box[2:] - box[:2]
        predicted = (box[2:] + box[:2]) / 2 + d[:2] / 10 * side
        of_centre = 10 * (predicted - (truth[2:] + truth[:2]) / 2) / sides[n, s]
        of_side = d[2:] - 5 * np.log((truth[2:] - truth[:2]) / side)
        total += np.abs(of_centre).sum() + np.abs(of_side).sum()
        assert tuple(sides[n, s].tolist()) in possible
    assert total > 0
    np.testing.assert_allclose(losses.box_reg, total / count, rtol=1e-4)


def test_the_other_normalisers_are_losses_of_the_librarys_pass():
    for make in (constant_normaliser, pixel_normaliser):
        detector = make(MODEL)
        own = getattr(interventions, f"{make.__name__}_losses")
        assert detector == build(MODEL)._replace(roi_losses=own)


@pytest.mark.parametrize("make", [constant_normaliser, pixel_normaliser, anchor_normaliser])
def test_a_loss_without_a_normaliser_is_refused(make):
    with pytest.raises(ConfigError, match=r"model.box_head.box_loss=giou"):
        make(change(MODEL, box_head={"box_loss": "giou"}))


def test_proposals_of_another_source_have_no_anchors():
    detector = anchor_normaliser(MODEL)
    with pytest.raises(ConfigError, match="the detector's own RPN"):
        detector.train(detector, {}, make_batch(), jnp.zeros(()), proposals=object())


def test_the_gate_of_objects_is_closed_for_the_background(case):
    _, rois, _ = case
    config = ProposalsConfig(stop_gradient=False, pooling_gradient=0.5, target_gradient=0.25)

    def total(boxes):
        passed = gate_of_objects(rois._replace(boxes=boxes, references=boxes), config)
        return 2 * passed.boxes.sum() + 4 * passed.references.sum(), passed

    slope, passed = jax.grad(total, has_aux=True)(jnp.asarray(rois.boxes, jnp.float32))
    expected = np.where(LABELS > 0, 2 * 0.5 + 4 * 0.25, 0)  # both routes, by their factors
    np.testing.assert_allclose(slope, np.repeat(expected[..., None], 4, -1), rtol=1e-6)
    np.testing.assert_allclose(passed.boxes, rois.boxes, rtol=1e-6)

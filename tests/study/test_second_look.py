"""The move and the labels by numpy; the losses and gradients are the library's at those places."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.detector import build, forward_train
from jaxrcnn.study.interventions import second_look
from jaxrcnn.study.second_look import MOVE, labelled_again, moved
from jaxrcnn.types import Gates, Proposals, RoiSamples
from tests.tiny import MODEL, change, make_batch, make_variables

OPEN = change(
    MODEL,
    proposals={"stop_gradient": False, "nms_iou": 1.0},
    box_head={"samples": 12, "foreground_fraction": 1.0, "foreground_iou": 0.1},
)
KEY = jax.random.key(3)


def numpy_iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inside = np.prod(np.maximum(high - low, 0))
    return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def test_a_move_is_a_step_of_one_length_in_sides_of_the_box():
    boxes = np.array([[(10, 10, 30, 20), (0, 5, 8, 45), (4, 4, 24, 24), (2, 2, 12, 12)]], "f4")
    labels = np.array([[1, 0, 2, 1]], np.int32)
    matched = boxes + np.array([1, 0, 0, 1], "f4")[None, :, None]  # the third is the truth itself
    rois = RoiSamples(boxes, boxes, labels, matched, None, None, None)
    slope = np.array([[(0.2, 0, 0, -0.2), (3, 0, 0, 0), (1, 1, 1, 1), (0, 0, 0, 0)]], "f4")
    got = moved(rois, slope, np.array([[50, 50]]))
    # 0.2 a pixel is 4 a width of 20 and 2 a height of 10; the second is clipped at the image.
    expected = [
        (10 - 20 * MOVE, 10, 30, 20 + 10 * MOVE / 2),
        (0, 5, 8, 45),
        boxes[0, 2],
        boxes[0, 3],
    ]
    np.testing.assert_allclose(got, [expected], rtol=1e-6)


def test_labels_are_those_of_where_the_boxes_are():
    batch = make_batch()
    rng = np.random.default_rng(0)
    boxes = np.repeat(batch.boxes[:, :2], 4, 1) + rng.uniform(-4, 4, (2, 8, 4)).astype("f4")
    valid = np.arange(8)[None] < np.array([[8], [7]])
    keys = jax.random.split(KEY, 2)
    got = jax.jit(labelled_again, static_argnums=4)(keys, boxes, valid, batch, MODEL)
    np.testing.assert_array_equal(got.boxes, boxes)
    np.testing.assert_array_equal(got.valid, valid)
    for n, s in np.argwhere(valid):
        overlaps = [numpy_iou(boxes[n, s], truth) for truth in batch.boxes[n, :2]]
        best = int(np.argmax(overlaps))
        foreground = overlaps[best] >= 0.5
        assert got.matched[n, s] == best
        assert got.labels[n, s] == (batch.labels[n, best] if foreground else 0)
        target = batch.boxes[n, best] if foreground else boxes[n, s]
        np.testing.assert_array_equal(got.matched_boxes[n, s], target)
    assert 0 < ((np.asarray(got.labels) > 0) & valid).sum() < valid.sum()


def test_boxes_that_are_neither_are_left_out():
    config = change(MODEL, box_head={"foreground_iou": 0.9, "background_iou": 0.2})
    batch = make_batch(images=1)
    boxes = batch.boxes[:, :1] + np.array([[0, 0, 0, 0], [0, 0, 90, 90]], "f4")
    got = labelled_again(jax.random.split(KEY, 1), boxes, np.ones((1, 2), bool), batch, config)
    np.testing.assert_array_equal(got.valid, [[True, False]])


@functools.partial(jax.jit, static_argnums=0)
def gradient(detector, variables, batch, gates):
    """Gradient of the second stage's losses in the parameters, the losses and the flow."""

    def total(params):
        given = {**variables, "params": params}
        losses, _, flow = detector.train(detector, given, batch, KEY, gates=gates)
        return losses.box_class + losses.box_reg, (losses, flow)

    return jax.grad(total, has_aux=True)(variables["params"])


@pytest.fixture(scope="module")
def variables():
    return make_variables(build(OPEN))


@pytest.mark.slow
def test_losses_and_gradients_are_those_of_the_moved_boxes(variables):
    batch, gates = make_batch(), Gates(1.0, 0.5)
    _, (_, first) = gradient(build(OPEN), variables, batch, gates)
    gradients, (losses, flow) = gradient(second_look(OPEN), variables, batch, gates)
    before, after = np.asarray(first.rois.boxes), np.asarray(flow.rois.boxes)
    sides = np.tile(before[..., 2:] - before[..., :2], 2)
    step = np.abs(after - before) / sides
    is_truth = (before == np.asarray(first.rois.matched_boxes)).all(-1) & (first.rois.labels > 0)
    assert (step[is_truth] == 0).all()
    assert step.max() <= MOVE * 1.001
    assert (step.max(-1) > 0.99 * MOVE).sum() >= 8
    assert (np.asarray(flow.rois.labels) != first.rois.labels).any()

    given = change(OPEN, proposals={"append_ground_truth": False, "stop_gradient": False})
    in_place = build(given, roi_sampler=lambda key, label, *_: (jnp.arange(12), label >= 0))

    @jax.jit
    def at(boxes, params):
        moved = Proposals(boxes, jnp.zeros(boxes.shape[:2]), first.rois.valid)
        losses, _, _ = forward_train(
            in_place, {**variables, "params": params}, batch, KEY, gates=gates, proposals=moved
        )
        return losses.box_class + losses.box_reg, losses

    (slope, of_params), expected = jax.grad(at, (0, 1), has_aux=True)(after, variables["params"])
    np.testing.assert_allclose(losses[2:], expected[2:], rtol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, 1e-4, 1e-5),
        gradients["box_head"],
        of_params["box_head"],
    )

    @jax.jit
    def through_boxes(params):
        """The slope at the moved boxes, led back from the first look's boxes to the RPN."""

        def inner(params):
            given = {**variables, "params": params}
            _, _, flow = forward_train(build(OPEN), given, batch, KEY, gates=Gates(1.0, 1.0))
            return jnp.sum(flow.rois.boxes * slope)

        return jax.grad(inner)(params)["rpn_head"]

    expected = through_boxes(variables["params"])
    assert any(np.abs(x).max() > 1e-3 for x in jax.tree.leaves(expected))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, 1e-3, 1e-4 * np.abs(y).max()),
        gradients["rpn_head"],
        expected,
    )


def test_a_closed_gate_and_validation_have_one_look(variables):
    shut = change(OPEN, proposals={"stop_gradient": True})
    for model, train in ((shut, True), (OPEN, False)):
        shapes = [
            jax.make_jaxpr(
                functools.partial(detector.train, detector, train=train), static_argnums=()
            )(variables, make_batch(), KEY)
            for detector in (second_look(model), build(model))
        ]
        assert str(shapes[0]) == str(shapes[1])

"""Widths, recall, positives and drift by hand and in numpy, padding full of garbage."""

import functools

import jax
import numpy as np
import pytest

from jaxrcnn.training import measures
from jaxrcnn.types import Batch, Flow, Proposals, RoiSamples, RpnOutput
from tests.tiny import MODEL

# Three images: the last is padding of the batch, and would change every number.
PROPOSALS = np.array(
    [
        [(0, 0, 10, 10), (0, 0, 20, 40), (5, 5, 35, 30), (np.nan,) * 4],
        [(10, 10, 50, 50), (0, 0, 4, 4), (np.inf,) * 4, (np.nan,) * 4],
        [(0, 0, 900, 900)] * 4,
    ],
    np.float32,
)
VALID = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], bool)
TRUTH = np.array(
    [
        [(0, 0, 10, 12), (5, 5, 35, 45)],  # overlaps of 10/12 and 30*25 / (30*40)
        [(10, 10, 50, 50), (0, 0, 4, 4)],  # the second is to be ignored
        [(0, 0, 900, 900)] * 2,
    ],
    np.float32,
)
BATCH = Batch(
    images=None,
    image_sizes=np.array([[60, 60]] * 3, np.int32),
    image_index=None,
    image_weights=np.array([1, 0.5, 0], np.float32),
    boxes=TRUTH,
    labels=None,
    box_valid=np.ones((3, 2), bool),
    box_ignore=np.array([[0, 0], [0, 1], [0, 0]], bool),
    box_weights=None,
)


def make_flow():
    rois = RoiSamples(
        boxes=None,
        references=None,
        labels=np.array([[1, 0, 2], [3, 3, 0], [1, 1, 1]], np.int32),
        matched_boxes=None,
        weights=None,
        valid=np.array([[1, 1, 1], [0, 1, 1], [1, 1, 1]], bool),
        matched=None,
    )
    foreground = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    return Flow(None, None, Proposals(PROPOSALS, None, VALID), rois, None, None, foreground)


@pytest.fixture(scope="module")
def found():
    return jax.jit(measures.measure_flow, static_argnums=2)(make_flow(), BATCH, "joint")


def test_widths_are_of_valid_proposals_alone(found):
    widths = [10, 20, 30, 40, 4]
    for q in (0, 0.1, 0.5, 0.9, 1):
        np.testing.assert_allclose(found[f"width/{q:g}"], np.quantile(widths, q), rtol=1e-6)


def test_recall_is_of_ground_truth_that_is_not_to_be_ignored(found):
    assert found["recall/0.5"] == 1
    assert found["recall/0.7"] == pytest.approx(2 / 3)


def test_recall_without_ground_truth_is_no_number():
    nothing = BATCH._replace(box_valid=np.zeros((3, 2), bool))
    recall = jax.jit(measures.proposal_recall)(make_flow(), nothing)
    assert np.isnan(list(recall.values())).all()


def test_positives_are_counted_a_image(found):
    assert found["positives/anchors"] == 3 / 2
    assert found["positives/rois"] == 3 / 2


@pytest.mark.parametrize(("stage", "left"), [("rpn", "anchors"), ("fast_rcnn", "rois")])
def test_a_stage_counts_its_own_positives(stage, left):
    measure = functools.partial(measures.measure_flow, stage=stage)
    names = jax.eval_shape(measure, make_flow(), BATCH)
    assert [name for name in names if name.startswith("positives")] == [f"positives/{left}"]


def test_the_best_anchors_boxes_are_decoded_and_cut_at_the_image():
    anchors = np.array([(0, 0, 10, 10), (10, 10, 30, 30), (40, 40, 60, 60)], np.float32)
    deltas = np.zeros((1, 3, 4), np.float32)
    deltas[0, 1] = 0.5, 0, np.log(2), 0
    deltas[0, 2, 0] = 1
    flow = make_flow()._replace(rpn=RpnOutput(np.array([[-1, 3, 2]]), deltas), anchors=anchors)
    best = measures.best_anchors(flow)
    np.testing.assert_array_equal(best, [[1, 2, 0]])
    boxes = measures.boxes_of(deltas, best[:, :2], anchors, np.array([[50, 60]]), MODEL)
    np.testing.assert_allclose(boxes, [[(10, 10, 50, 30), (60, 40, 60, 50)]], rtol=1e-6)


def test_drift_is_a_mean_over_coordinates_of_images_that_count():
    a = np.zeros((3, 2, 4), np.float32)
    b = a.copy()
    b[0, 1] = 1, -2, 3, 0
    b[1, 0, 0] = 10
    b[2] = np.nan
    assert jax.jit(measures.drift)(a, b, BATCH.image_weights) == 1
    assert np.isnan(measures.drift(a, b, np.zeros(3)))

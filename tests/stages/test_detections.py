"""Detections of a few RoIs, by hand."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig, DetectionsConfig, ModelConfig
from jaxrcnn.stages.detections import class_scores, detect
from jaxrcnn.types import BoxOutput, Proposals
from tests.ops.test_nms import numpy_iou

run = jax.jit(detect, static_argnums=3)
BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [30, 30, 60, 40]], np.float32)
SIZES = np.array([[40, 50]], np.int32)


def detect_with(probabilities, valid=(True, True, True), deltas=None, boxes=BOXES, **fields):
    logits = np.log(np.array([probabilities], np.float32))
    deltas = np.zeros((1, 3, 2, 4), np.float32) if deltas is None else deltas
    proposals = Proposals(boxes[None], np.zeros((1, 3), np.float32), np.array([valid]))
    config = ModelConfig(num_classes=2, detections=DetectionsConfig(max_detections=6, **fields))
    got = run(BoxOutput(logits, deltas), proposals, SIZES, config)
    number = int(got.valid[0].sum())
    assert got.valid[0][:number].all()
    for padded in (got.boxes, got.scores, got.labels):
        assert (np.asarray(padded[0][number:]) == 0).all()
    return got.boxes[0][:number], got.scores[0][:number], got.labels[0][:number]


PROBABILITIES = [[0.1, 0.8, 0.1], [0.25, 0.45, 0.3], [0.36, 0.04, 0.6]]


def test_suppression_within_a_class_threshold_and_clipping():
    boxes, scores, labels = detect_with(PROBABILITIES)
    # Class 1: RoI 0 drops RoI 1; RoI 2 has less than 0.05. Class 2: RoI 1 drops RoI 0.
    np.testing.assert_array_equal(labels, [1, 2, 2])
    np.testing.assert_allclose(scores, [0.8, 0.6, 0.3], rtol=1e-6)
    np.testing.assert_allclose(boxes, [BOXES[0], [30, 30, 50, 40], BOXES[1]], atol=1e-5)


def test_each_class_has_its_own_deltas():
    deltas = np.zeros((1, 3, 2, 4), np.float32)
    deltas[0, 0, 0, 0] = 10.0  # with a weight of 10: one width to the right
    boxes, _, labels = detect_with(
        [[0.1, 0.8, 0.1], [0.98, 0.01, 0.01], [0.98, 0.01, 0.01]], deltas=deltas
    )
    np.testing.assert_array_equal(labels, [1, 2])
    np.testing.assert_allclose(boxes, [[10, 0, 20, 10], [0, 0, 10, 10]], atol=1e-5)


def test_class_agnostic_deltas_serve_all_classes():
    deltas = np.zeros((1, 3, 1, 4), np.float32)
    deltas[0, 0, 0, 0] = 10.0
    boxes, _, _ = detect_with(
        [[0.1, 0.8, 0.1], [0.98, 0.01, 0.01], [0.98, 0.01, 0.01]], deltas=deltas
    )
    np.testing.assert_allclose(boxes, [[10, 0, 20, 10]] * 2, atol=1e-5)


def test_what_is_cut_to_nothing_or_too_small_is_not_found():
    boxes = np.array([[60, 0, 70, 10], [5, 5, 9, 9], [30, 30, 60, 40]], np.float32)
    found, _, _ = detect_with(PROBABILITIES, boxes=boxes)
    assert (boxes[0, :2] >= SIZES[0, 1]).any()  # RoI 0 lies outside of the image
    np.testing.assert_allclose(found, [[30, 30, 50, 40], [5, 5, 9, 9], [5, 5, 9, 9]], atol=1e-5)
    found, _, _ = detect_with(PROBABILITIES, boxes=boxes, min_size=4.5)
    np.testing.assert_allclose(found, [[30, 30, 50, 40]], atol=1e-5)


def test_padded_proposals_find_nothing_even_of_nan():
    boxes = BOXES.copy()
    boxes[0] = np.nan
    _, scores, labels = detect_with(PROBABILITIES, valid=(False, True, False), boxes=boxes)
    np.testing.assert_array_equal(labels, [1, 2])
    np.testing.assert_allclose(scores, [0.45, 0.3], rtol=1e-6)


def detectron2_detections(probabilities, boxes, size, threshold, iou, most):
    """Its ``fast_rcnn_inference_single_image``: NMS by class over all above the threshold.

    Unlike there, boxes without area are left out before the best are counted, not after.
    """
    boxes = np.clip(boxes, 0, [size[1], size[0], size[1], size[0]])
    roi, label = np.nonzero(probabilities > threshold)
    found = []
    for i in np.argsort(-probabilities[roi, label], kind="stable"):
        box, score = boxes[roi[i]], probabilities[roi[i], label[i]]
        if (box[2:] <= box[:2]).any():
            continue
        rivals = np.array([b for b, _, other in found if other == label[i]]).reshape(-1, 4)
        if not (numpy_iou(box, rivals) > iou).any():
            found.append((box, score, label[i]))
    return found[:most]


def test_a_crowd_among_many_duplicates_is_found_whole():
    # 60 objects far apart. The best has 2,900 duplicates, all above the other 59; two classes.
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(np.arange(10), np.arange(6)), -1).reshape(-1, 2) * 40.0
    crowd = np.concatenate([corners, corners + 30], 1)
    boxes = np.concatenate([crowd[:1] + rng.uniform(0, 0.5, (2900, 4)), crowd, crowd[5:6]])
    boxes[-1, 2] = boxes[-1, 0]  # one without area, above all others
    first = np.concatenate([rng.uniform(0.6, 0.9, 2900), rng.uniform(0.1, 0.5, 60), [0.95]])
    second = np.where(np.arange(2961) % 7 == 0, 0.04, 0.02)
    second[3::100] = 0.06 + 0.001 * np.arange(30)
    probabilities = np.stack([1 - first - second, first, second], 1).astype(np.float32)
    proposals = Proposals(
        boxes[None].astype(np.float32), np.zeros((1, 2961), np.float32), np.ones((1, 2961), bool)
    )
    config = ModelConfig(num_classes=2, detections=DetectionsConfig())
    output = BoxOutput(np.log(probabilities)[None], np.zeros((1, 2961, 1, 4), np.float32))
    got = run(output, proposals, np.array([[240, 400]], np.int32), config)
    expected = detectron2_detections(
        probabilities[:, 1:].astype(float), boxes, (240, 400), 0.05, 0.5, 100
    )
    assert sum(label == 0 for _, _, label in expected) == 60
    assert int(got.valid[0].sum()) == len(expected)
    for place, (box, score, label) in enumerate(expected):
        assert got.labels[0, place] == label + 1
        np.testing.assert_allclose(got.scores[0, place], score, rtol=1e-5)
        np.testing.assert_allclose(got.boxes[0, place], box, atol=1e-3)


def test_of_equal_scores_the_first_rois_are_found():
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30]], np.float32)
    proposals = Proposals(boxes[None], np.zeros((1, 3), np.float32), np.ones((1, 3), bool))
    config = ModelConfig(num_classes=2, detections=DetectionsConfig(max_detections=2))
    output = BoxOutput(
        np.log(np.array([[[0.2, 0.6, 0.2]] * 3], np.float32)), np.zeros((1, 3, 1, 4), np.float32)
    )
    got = run(output, proposals, SIZES, config)
    np.testing.assert_allclose(got.boxes[0], boxes[:2], atol=1e-5)


def test_soft_nms_lowers_scores_instead():
    _, scores, labels = detect_with(PROBABILITIES, soft_nms="linear")
    # RoI 1 overlaps RoI 0 by 0.9: 0.45 * 0.1 is not above 0.05, and 0.1 * 0.1 neither.
    np.testing.assert_array_equal(labels, [1, 2, 2])
    _, scores, labels = detect_with(PROBABILITIES, soft_nms="gaussian")
    fallen = 0.45 * np.exp(-0.81 / 0.5)
    np.testing.assert_array_equal(labels, [1, 2, 2, 1])
    np.testing.assert_allclose(scores, [0.8, 0.6, 0.3, fallen], rtol=1e-5)


def test_scores_of_a_softmax_add_up_to_one_with_the_background():
    logits = np.log(np.array([[[0.1, 0.8, 0.1]]], np.float32)) + 3.0
    np.testing.assert_allclose(class_scores(logits, BoxHeadConfig()), [[[0.8, 0.1]]], rtol=1e-6)


@pytest.mark.parametrize("class_loss", ["sigmoid", "focal"])
def test_scores_of_sigmoids_are_independent_of_each_other_and_of_the_background(class_loss):
    # Odds of 4 to 1, 1 to 3 and, by exp(-10000), of next to nothing.
    logits = np.array([[50.0, np.log(4), -np.log(3)], [-9.0, 0.0, -1e4]], np.float32)
    got = class_scores(logits, BoxHeadConfig(class_loss=class_loss))
    np.testing.assert_allclose(got, [[0.8, 0.25], [0.5, 0.0]], rtol=1e-6)


def test_a_roi_may_be_found_as_several_classes_by_sigmoids():
    chances = np.array([[0.5, 0.9, 0.8], [0.5, 0.85, 0.04], [0.5, 0.3, 0.7]], np.float32)
    logits = np.log(chances / (1 - chances))
    logits[:, 0] = 1e4  # of no matter
    proposals = Proposals(BOXES[None], np.zeros((1, 3), np.float32), np.ones((1, 3), bool))
    config = ModelConfig(num_classes=2, box_head=BoxHeadConfig(class_loss="sigmoid"))
    got = run(BoxOutput(logits[None], np.zeros((1, 3, 2, 4), np.float32)), proposals, SIZES, config)
    assert int(got.valid.sum()) == 4
    np.testing.assert_array_equal(got.labels[0, :4], [1, 2, 2, 1])
    np.testing.assert_allclose(got.scores[0, :4], [0.9, 0.8, 0.7, 0.3], rtol=1e-5)

import numpy as np
import pytest

from jaxrcnn.config import DetectionsConfig
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.merging import merge

BOX, NEAR, FAR = (0, 0, 100, 100), (0, 0, 100, 80), (200, 0, 300, 100)  # IoU of the first two: .8


def found(boxes, scores, labels):
    return ImageDetections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int32),
    )


def test_of_boxes_of_a_class_that_overlap_the_best_stays():
    merged = merge(
        found([NEAR, BOX, BOX, FAR], [0.6, 0.9, 0.5, 0.7], [1, 1, 2, 1]), DetectionsConfig()
    )
    np.testing.assert_array_equal(merged.boxes, np.array([BOX, FAR, BOX], np.float32))
    np.testing.assert_array_equal(merged.scores, np.float32([0.9, 0.7, 0.5]))
    assert merged.labels.tolist() == [1, 1, 2]


def test_the_best_of_all_are_kept_up_to_the_limit():
    boxes = [(10 * i, 0, 10 * i + 9, 9) for i in range(70)]  # more than the first padding
    scores = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 70))
    merged = merge(found(boxes, scores, [1] * 70), DetectionsConfig(max_detections=66))
    np.testing.assert_allclose(merged.scores, np.sort(scores)[::-1][:66], rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "factor"), [("linear", 1 - 0.8), ("gaussian", np.exp(-(0.8**2) / 0.5))]
)
def test_soft_nms_lowers_the_scores_of_overlapping_boxes(method, factor):
    config = DetectionsConfig(soft_nms=method, score_threshold=0.05)
    merged = merge(found([NEAR, BOX, FAR], [0.6, 0.9, 0.05], [1, 1, 1]), config)
    np.testing.assert_array_equal(merged.boxes, np.array([BOX, NEAR], np.float32))
    np.testing.assert_allclose(merged.scores, [0.9, 0.6 * factor], rtol=1e-5)


def test_nothing_stays_nothing():
    assert [len(values) for values in merge(found([], [], []), DetectionsConfig())] == [0, 0, 0]

import numpy as np
import pytest

from jaxrcnn.evaluation.analysis.calibration import BINS, calibrate
from jaxrcnn.evaluation.matching import match_detections
from tests.evaluation.boxes_by_chance import by_loops, draw


def by_hand(rows):
    """The mean over detections of |precision - mean score| of their bin."""
    rows = [row for row in rows if not row[4]]
    if not rows:
        return None
    bins = [[] for _ in range(20)]
    for _, _, score, target, _ in rows:
        place = max(k for k in range(20) if score >= k / 20)
        bins[place].append((score, target is not None))
    total = 0
    for one in bins:
        if one:
            scores, hits = np.array(one, float).T
            total += len(one) * abs(hits.mean() - scores.mean())
    return total / len(rows)


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_that_of_plain_numpy(seed):
    dataset, found = draw(seed)
    calibration, rows = calibrate(match_detections(dataset, found)), by_loops(dataset, found)
    assert calibration.error == pytest.approx(by_hand(rows), abs=1e-12)
    for label, error in enumerate(calibration.errors, 1):
        assert error == pytest.approx(by_hand([row for row in rows if row[1] == label]))
    assert calibration.counts.sum() == sum(not row[4] for row in rows)


def test_edges_belong_to_the_bin_above_and_one_to_the_last():
    dataset, found = draw(0, images=1, objects=0)
    edges = np.arange(BINS + 1) / BINS
    boxes = np.tile(np.float32([0, 0, 9, 9]), (BINS + 1, 1))
    found[0] = found[0]._replace(boxes=boxes, scores=edges, labels=np.ones(BINS + 1, np.int32))
    counts = calibrate(match_detections(dataset, found)).counts
    assert counts.tolist() == [1] * (BINS - 1) + [2]


@pytest.mark.parametrize("score", [1.5, -0.1])
def test_scores_that_are_no_probabilities_have_no_error(score):
    dataset, found = draw(0)
    found[0].scores[0] = score
    calibration = calibrate(match_detections(dataset, found))
    assert calibration.error is None
    assert calibration.errors == [None] * 3


def test_without_detections_there_is_no_error():
    dataset, _ = draw(0)
    calibration = calibrate(match_detections(dataset, {}))
    assert calibration.error is None
    assert np.isnan(calibration.precision).all()

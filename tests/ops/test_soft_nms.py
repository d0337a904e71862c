import jax
import numpy as np
import pytest

from jaxrcnn.ops import soft_nms as suppression
from tests.ops.test_nms import clusters, numpy_iou

soft_nms = jax.jit(
    suppression.soft_nms, static_argnums=4, static_argnames=("method", "score_threshold")
)


def numpy_soft_nms(boxes, scores, valid, threshold, max_output, groups, method, sigma, lowest):
    scores, remaining, kept = scores.astype(np.float64), list(np.flatnonzero(valid)), []
    while remaining and len(kept) < max_output:
        best = max(remaining, key=lambda i: (scores[i], -i))
        if scores[best] <= lowest:
            break
        kept.append((int(best), scores[best]))
        remaining.remove(best)
        for i in remaining:
            iou = numpy_iou(boxes[best], boxes[i][None]).item()
            if groups[i] == groups[best]:
                if method == "gaussian":
                    scores[i] *= np.exp(-(iou**2) / sigma)
                elif iou > threshold:
                    scores[i] *= 1 - iou
    return kept


def assert_soft(boxes, scores, valid, max_output, method, lowest=0.05, groups=None):
    index, lowered, keep_valid = soft_nms(
        boxes,
        scores,
        valid,
        0.3,
        max_output,
        groups,
        method=method,
        sigma=0.5,
        score_threshold=lowest,
    )
    groups = np.zeros(len(boxes), int) if groups is None else groups
    expected = numpy_soft_nms(boxes, scores, valid, 0.3, max_output, groups, method, 0.5, lowest)
    count = len(expected)
    assert keep_valid.tolist() == [True] * count + [False] * (max_output - count)
    assert index.tolist() == [i for i, _ in expected] + [0] * (max_output - count)
    np.testing.assert_allclose(lowered[:count], [s for _, s in expected], rtol=1e-4)
    assert (lowered[count:] == 0).all()
    return [i for i, _ in expected]


def test_soft_nms_by_hand():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2], [8, 8, 9, 9]], np.float32)  # IoU 1/2, 0
    scores, valid = np.array([0.9, 0.8, 0.6], np.float32), np.ones(3, bool)
    options = {"sigma": 0.5, "score_threshold": 0.0}
    index, lowered, _ = soft_nms(boxes, scores, valid, 0.3, 3, method="linear", **options)
    assert index.tolist() == [0, 2, 1]
    np.testing.assert_allclose(lowered, [0.9, 0.6, 0.4], rtol=1e-6)
    _, lowered, _ = soft_nms(boxes, scores, valid, 0.6, 3, method="linear", **options)
    np.testing.assert_allclose(lowered, [0.9, 0.8, 0.6], rtol=1e-6)
    index, lowered, _ = soft_nms(boxes, scores, valid, 0.3, 3, method="gaussian", **options)
    assert index.tolist() == [0, 2, 1]
    np.testing.assert_allclose(lowered, [0.9, 0.6, 0.8 * np.exp(-0.5)], rtol=1e-6)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_equals_the_sequential_algorithm(method):
    for seed in range(3):
        boxes, _ = clusters(seed, 60)
        scores = np.random.default_rng(seed).random(60).astype(np.float32)
        groups = np.random.default_rng(seed).integers(0, 2, 60).astype(np.int32)
        valid = np.random.default_rng(seed).random(60) < 0.8
        assert len(assert_soft(boxes, scores, valid, 10, method)) == 10
        assert len(assert_soft(boxes, scores, valid, 60, method, lowest=0.1)) < valid.sum()
        assert_soft(boxes, scores, valid, 60, method, groups=groups)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_pays_no_heed_to_padding(method):
    boxes, scores = clusters(3, 40)
    scores, valid = np.abs(scores), np.arange(40) % 3 > 0
    expected = assert_soft(boxes, scores, valid, 40, method)
    for garbage in (np.nan, np.inf, 1e30):
        boxes[~valid], scores[~valid] = garbage, garbage
        index, lowered, keep_valid = soft_nms(
            boxes, scores, valid, 0.3, 40, method=method, sigma=0.5, score_threshold=0.05
        )
        assert index[keep_valid].tolist() == expected
        assert np.isfinite(lowered).all()


def test_soft_nms_drops_a_duplicate_whose_score_falls_to_zero():
    boxes = np.array([[0, 0, 4, 4]] * 2 + [[6, 6, 7, 7]], np.float32)
    scores = np.array([0.9, 0.8, 0.1], np.float32)
    assert assert_soft(boxes, scores, np.ones(3, bool), 3, "linear", lowest=0.0) == [0, 2]


def test_soft_nms_with_nothing_valid_keeps_nothing():
    boxes, scores = clusters(4, 5)
    assert assert_soft(boxes, scores, np.zeros(5, bool), 4, "gaussian") == []

"""Labels by hand and against a loop in plain numpy."""

import jax
import numpy as np
import pytest

from jaxrcnn.ops.matching import mark_ignored, match

run = jax.jit(match, static_argnums=(2, 3, 4, 5))


def check(result, index, label, overlap):
    np.testing.assert_array_equal(result.index, index)
    np.testing.assert_array_equal(result.label, label)
    np.testing.assert_allclose(result.overlap, overlap, rtol=1e-7)


IOU = np.array(
    [[0.8, 0.1], [0.7, 0.2], [0.5, 0.6], [0.3, 0.0], [0.29, 0.1], [0.0, 0.0]], np.float32
)


def test_thresholds_with_the_ignore_band_between():
    # At the foreground threshold: foreground. At the background threshold: between, ignored.
    best = [0.8, 0.7, 0.6, 0.3, 0.29, 0.0]
    result = run(IOU, np.array([True, True]), np.float32(0.7), np.float32(0.3), False)
    check(result, [0, 0, 1, 0, 0, 0], [1, 1, -1, -1, 0, 0], best)


def test_low_quality_match_promotes_the_best_anchor_of_every_box():
    result = run(IOU, np.array([True, True]), 0.7, 0.3, True)
    assert np.asarray(result.label)[2] == 1  # box 1 has no anchor of 0.7; 0.6 is its best


def test_low_quality_match_promotes_all_ties_and_keeps_their_own_box():
    iou = np.array([[0.1, 0.2], [0.6, 0.2], [0.0, 0.1]], np.float32)
    result = run(iou, np.array([True, True]), 0.7, 0.3, True)
    # Anchors 0 and 1 tie for box 1; anchor 1 itself overlaps box 0 the most and keeps it.
    check(result, [1, 0, 1], [1, 1, 0], [0.2, 0.6, 0.1])


def test_box_that_no_anchor_touches_promotes_none():
    iou = np.array([[0.0, 0.1], [0.0, 0.2]], np.float32)
    result = run(iou, np.array([True, True]), 0.7, 0.3, True)
    np.testing.assert_array_equal(result.label, [0, 1])


def test_without_ground_truth_all_is_background():
    result = run(np.full((3, 2), np.nan, np.float32), np.array([False, False]), 0.7, 0.3, True)
    check(result, [0, 0, 0], [0, 0, 0], [0, 0, 0])
    result = run(np.zeros((3, 1), np.float32), np.array([False]), 0.5, 0.5, False, 0.1)
    np.testing.assert_array_equal(result.label, [0, 0, 0])


def test_padded_boxes_match_nothing():
    iou = np.array([[0.9, 0.4], [np.nan, 0.8]], np.float32)
    result = run(iou, np.array([False, True]), 0.5, 0.5, True)
    check(result, [1, 1], [0, 1], [0.4, 0.8])


def test_background_floor_ignores_what_overlaps_less():
    iou = np.array([[0.05], [0.1], [0.4], [0.5]], np.float32)
    result = run(iou, np.array([True]), 0.5, 0.5, False, np.float32(0.1))
    np.testing.assert_array_equal(result.label, [-1, 0, 0, 1])


@pytest.mark.parametrize("low_quality", [False, True])
def test_random_overlaps_against_a_loop(low_quality):
    rng = np.random.default_rng(0)
    iou = (rng.integers(0, 11, (200, 7)) / 10).astype(np.float32)  # many ties
    valid = np.array([True, True, False, True, True, False, True])
    label, index = [], []
    best_of_box = [max(iou[a, g] for a in range(200)) for g in range(7)]
    for anchor in iou:
        usable = [g for g in range(7) if valid[g]]
        g = max(usable, key=lambda g: (anchor[g], -g))
        index.append(g)
        kind = 1 if anchor[g] >= np.float32(0.8) else 0 if anchor[g] < np.float32(0.4) else -1
        if low_quality and any(anchor[u] == best_of_box[u] > 0 for u in usable):
            kind = 1
        label.append(kind)
    result = run(iou, valid, 0.8, 0.4, low_quality)
    np.testing.assert_array_equal(result.index, index)
    np.testing.assert_array_equal(result.label, label)


def test_ignore_regions_take_background_only():
    label = np.array([1, 0, 0, 0, -1], np.int32)
    coverage = np.array([[1, 0], [0.5, 0], [0.49, 0], [0, 1], [1, 0]], np.float32)
    marked = jax.jit(mark_ignored)(label, coverage, np.array([True, False]))
    np.testing.assert_array_equal(marked, [1, -1, 0, 0, -1])

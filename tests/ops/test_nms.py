"""Suppression against the sequential algorithm in plain numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.nms import TILE, nms, soft_nms


def numpy_iou(box, others):
    box, others = box.astype(np.float32), others.astype(np.float32)
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inner = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(box[2:] - box[:2])
    union = area + np.prod(others[:, 2:] - others[:, :2], axis=1) - inner
    return np.where(union > 0, inner / np.where(union > 0, union, 1), 0)


def sequential(boxes, scores, valid, threshold, groups=None):
    """Indices that the textbook algorithm keeps, best first, ties by index."""
    groups = np.zeros(len(boxes), int) if groups is None else groups
    waiting = [i for i in np.argsort(-scores, kind="stable") if valid[i]]
    kept = []
    while waiting:
        best, *rest = waiting
        kept.append(int(best))
        if not rest:
            break
        rivals = numpy_iou(boxes[best], boxes[rest])
        waiting = [
            i
            for i, iou in zip(rest, rivals, strict=True)
            if not (iou > threshold and groups[i] == groups[best])
        ]
    return kept


def run(boxes, scores, valid=None, threshold=0.5, most=None, groups=None):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.asarray(scores, np.float32)
    valid = np.ones(len(boxes), bool) if valid is None else np.asarray(valid)
    most = len(boxes) if most is None else most
    index, kept = jax.jit(nms, static_argnums=(3, 4))(
        boxes, scores, valid, threshold, most, None if groups is None else np.asarray(groups)
    )
    assert index.shape == kept.shape == (most,)
    kept = np.asarray(kept)
    assert not kept[int(kept.sum()) :].any()  # the mask has no holes
    assert (np.asarray(index)[~kept] == 0).all()
    return np.asarray(index)[kept].tolist()


def random_boxes(rng, number, extent=100.0, largest=40.0):
    corner = rng.uniform(0, extent, (number, 2))
    return np.concatenate([corner, corner + rng.uniform(0, largest, (number, 2))], 1).astype("f4")


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("number", [1, 37, 300])
def test_random_boxes_as_the_sequential_algorithm(number, threshold):
    rng = np.random.default_rng(number)
    boxes = random_boxes(rng, number)
    scores = rng.normal(size=number).astype("f4")
    valid = rng.uniform(size=number) < 0.9
    expected = sequential(boxes, scores, valid, threshold)
    assert run(boxes, scores, valid, threshold) == expected


def test_more_boxes_than_a_tile_with_ties_and_groups():
    rng = np.random.default_rng(0)
    number = 2 * TILE + 77
    boxes = random_boxes(rng, number, extent=60)
    scores = rng.integers(0, 20, number).astype("f4")
    valid = rng.uniform(size=number) < 0.95
    groups = rng.integers(0, 3, number).astype(np.int32)
    expected = sequential(boxes, scores, valid, 0.4, groups)
    assert run(boxes, scores, valid, 0.4, groups=groups) == expected
    assert run(boxes, scores, valid, 0.4, most=25, groups=groups) == expected[:25]


def test_chain_in_which_each_box_decides_on_the_next():
    # Neighbours overlap by 2/3, next but one by 1/3 and so on: every second box stays.
    left = 10.0 * np.arange(40)
    boxes = np.stack([left, 0 * left, left + 50, 0 * left + 10], 1)
    scores = -np.arange(40.0)
    assert run(boxes, scores, threshold=0.5) == list(range(0, 40, 2))


def test_equal_scores_go_by_index_and_equal_boxes_leave_one():
    boxes = np.tile([[0, 0, 10, 10]], (5, 1))
    assert run(boxes, np.ones(5)) == [0]
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]]
    assert run(boxes, [1, 1, 1]) == [0, 1]
    assert run(boxes, [1, 1, 2]) == [2, 1]


def test_touching_and_empty_boxes_stay():
    boxes = [[0, 0, 10, 10], [10, 0, 20, 10], [5, 5, 5, 5], [5, 5, 5, 5]]
    assert run(boxes, [4, 3, 2, 1], threshold=0.0) == [0, 1, 2, 3]


def test_overlap_equal_to_the_threshold_stays():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]  # an IoU of exactly 0.5
    assert run(boxes, [2, 1], threshold=0.5) == [0, 1]
    assert run(boxes, [2, 1], threshold=0.49) == [0]


def test_garbage_in_padded_places_changes_nothing():
    boxes = np.array([[0, 0, 10, 10], [np.nan] * 4, [1, 1, 10, 10], [-1e30, 0, 1e30, np.inf]])
    assert run(boxes, [1, np.nan, 2, np.inf], [True, False, True, False]) == [2]
    assert run(boxes, [1, np.nan, 2, np.inf], [False] * 4) == []


def test_more_places_than_boxes():
    assert run([[0, 0, 1, 1], [5, 5, 6, 6]], [0, 1], most=7) == [1, 0]


def test_batches_under_vmap():
    rng = np.random.default_rng(1)
    boxes = np.stack([random_boxes(rng, 50), random_boxes(rng, 50, extent=5)])
    scores = rng.normal(size=(2, 50)).astype("f4")
    valid = np.ones((2, 50), bool)
    one = functools.partial(nms, iou_threshold=0.5, max_output=50)
    index, kept = jax.jit(jax.vmap(one))(boxes, scores, valid)
    for i in range(2):
        expected = sequential(boxes[i], scores[i], valid[i], 0.5)
        assert np.asarray(index[i])[np.asarray(kept[i])].tolist() == expected


def test_no_gradient_passes_and_reverse_mode_works():
    def first_corner(boxes):
        index, kept = nms(boxes, boxes[:, 0], jnp.ones(3, bool), 0.5, 3)
        return jnp.where(kept, boxes[index, 0], 0).sum()

    boxes = jnp.array([[0.0, 0, 9, 9], [1, 0, 9, 9], [30, 0, 39, 9]])
    gradient = jax.jit(jax.grad(first_corner))(boxes)
    expected = np.zeros((3, 4))
    expected[1:, 0] = 1  # those kept, gathered by index
    np.testing.assert_array_equal(gradient, expected)


def numpy_soft(boxes, scores, threshold, most, groups, method, sigma, lowest):
    scores = scores.astype(np.float64).copy()
    result = []
    for _ in range(most):
        best = int(np.argmax(scores))
        if scores[best] <= max(lowest, 0):
            break
        result.append((best, scores[best]))
        iou = numpy_iou(boxes[best], boxes)
        fall = np.where(iou > threshold, 1 - iou, 1)
        if method == "gaussian":
            fall = np.exp(-(iou**2) / sigma)
        scores = np.where(groups == groups[best], scores * fall, scores)
        scores[best] = -1
    return result


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_as_the_paper_says(method):
    rng = np.random.default_rng(3)
    boxes, scores = random_boxes(rng, 60, 50), rng.uniform(size=60).astype("f4")
    groups = rng.integers(0, 2, 60).astype(np.int32)
    valid = np.ones(60, bool)
    valid[:5], boxes[0] = False, np.nan
    soft = jax.jit(
        functools.partial(soft_nms, method=method, sigma=0.5, score_threshold=0.05),
        static_argnums=(3, 4),
    )
    index, lowered, kept = soft(boxes, scores, valid, 0.3, 40, groups)
    expected = numpy_soft(
        np.nan_to_num(boxes), np.where(valid, scores, -1), 0.3, 40, groups, method, 0.5, 0.05
    )
    number = len(expected)
    assert 0 < number <= 40
    assert np.asarray(kept).tolist() == [True] * number + [False] * (40 - number)
    assert np.asarray(index)[:number].tolist() == [i for i, _ in expected]
    np.testing.assert_allclose(np.asarray(lowered)[:number], [s for _, s in expected], rtol=1e-5)
    assert (np.asarray(lowered)[number:] == 0).all()

import pathlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops import nms as suppression

RECORDED = np.load(pathlib.Path(__file__).parent / "data" / "boxes_torchvision.npz")
ROOM = 160  # cases are padded to one shape, which compiles once


def in_small_tiles(*arguments):
    """The same function with a tile that the cases here fill ten times."""
    with mock.patch.object(suppression, "TILE", 16):
        return suppression.nms(*arguments)


nms = jax.jit(suppression.nms, static_argnums=4)
tiled_nms = jax.jit(in_small_tiles, static_argnums=4)


def of_twenty_at_a_time(boxes, scores, valid, threshold, max_output, groups=None):
    """All of them, made in rounds; the invalid half of the time by their score, else when made."""
    unscored = ~valid & (jnp.arange(len(valid)) % 2 == 0)

    def boxes_of(index):
        own = jnp.zeros_like(index) if groups is None else groups[index]
        return suppression.Boxes(boxes[index], own, valid[index])

    scores = jnp.where(unscored, -jnp.inf, jnp.nan_to_num(scores, nan=-9.0))
    return suppression.nms_in_rounds(scores, boxes_of, threshold, max_output, 20)


rounds_of_nms = jax.jit(of_twenty_at_a_time, static_argnums=4)


def numpy_iou(box, others):
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    union = (
        np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - intersection
    )
    return np.where(union > 0, intersection / np.where(union > 0, union, 1), 0)


def numpy_nms(boxes, scores, valid, threshold, max_output, groups=None):
    """The sequential algorithm: kept indices, best first."""
    groups = np.zeros(len(boxes), int) if groups is None else groups
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if valid[i] and len(kept) < max_output:
            rivals = [j for j in kept if groups[j] == groups[i]]
            if not (numpy_iou(boxes[i], boxes[rivals]) > np.float32(threshold)).any():
                kept.append(int(i))
    return kept


def clusters(seed, count, objects=8, size=400.0):
    """Boxes scattered around a few objects, as an RPN proposes them."""
    rng = np.random.default_rng(seed)
    centres, sides = rng.uniform(0, size, (objects, 2)), rng.uniform(20, 200, (objects, 2))
    which = rng.integers(0, objects, count)
    centre = centres[which] + 0.15 * sides[which] * rng.normal(size=(count, 2))
    side = sides[which] * np.exp(0.2 * rng.normal(size=(count, 2)))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    return boxes.astype(np.float32), rng.normal(size=count).astype(np.float32)


def kept_by(function, boxes, scores, valid, threshold, max_output, groups=None):
    index, keep_valid = function(boxes, scores, valid, threshold, max_output, groups)
    assert index.shape == keep_valid.shape == (max_output,)
    assert index.dtype == jnp.int32
    count = int(keep_valid.sum())
    assert keep_valid.tolist() == [True] * count + [False] * (max_output - count)
    assert index[count:].tolist() == [0] * (max_output - count)
    return index[:count].tolist()


def assert_greedy(boxes, scores, threshold, max_output=ROOM, valid=None, groups=None):
    """Compare with the sequential algorithm: one tile, many, rounds; return what is kept."""
    valid = np.ones(len(boxes), bool) if valid is None else valid
    boxes, scores = np.asarray(boxes, np.float32), np.asarray(scores, np.float32)
    expected = numpy_nms(boxes, scores, valid, threshold, max_output, groups)
    padding = ROOM - len(boxes)
    boxes = np.pad(boxes, ((0, padding), (0, 0)), constant_values=np.nan)
    scores = np.pad(scores, (0, padding), constant_values=np.nan)
    valid = np.pad(valid, (0, padding))
    groups = None if groups is None else np.pad(groups, (0, padding))
    for function in (nms, tiled_nms, rounds_of_nms):
        assert kept_by(function, boxes, scores, valid, threshold, max_output, groups) == expected
    return expected


def test_nms_by_hand():
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 4], [20, 20, 30, 30]]
    # Overlaps with the second box, the best: 9/11, 36/104 and 0.
    assert assert_greedy(boxes, [0.8, 0.9, 0.7, 0.6], 0.5) == [1, 2, 3]
    assert assert_greedy(boxes, [0.8, 0.9, 0.7, 0.6], 0.3) == [1, 3]


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_random_clusters_equal_the_sequential_algorithm(threshold):
    for seed in range(4):
        boxes, scores = clusters(seed, ROOM)
        kept = assert_greedy(boxes, scores, threshold)
        assert 4 < len(kept) < 140


def test_more_boxes_than_a_tile_equal_the_sequential_algorithm():
    count = 2 * suppression.TILE + 77
    boxes, scores = clusters(5, count, objects=25, size=900.0)
    valid = np.ones(count, bool)
    expected = numpy_nms(boxes, scores, valid, 0.7, 400)
    ranks = np.argsort(np.argsort(-scores))[expected]
    assert ranks[-1] > suppression.TILE  # some are kept behind the first tile
    assert kept_by(nms, boxes, scores, valid, 0.7, 400) == expected


@pytest.mark.parametrize(("platform", "tile"), [("cpu", 128), ("cuda", 2048), ("tpu", 2048)])
def test_an_accelerator_compares_more_boxes_at_a_time(platform, tile):
    shapes = [jax.ShapeDtypeStruct(x, np.float32) for x in ((3000, 4), (3000,))]
    traced = nms.trace(*shapes, jax.ShapeDtypeStruct((3000,), bool), 0.7, 1000)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert f"tensor<{tile}x{tile}xi1>" in program
    assert f"tensor<{2560 - tile}x{2560 - tile}xi1>" not in program  # the other one's


def test_few_places_hold_the_best_of_what_is_kept():
    boxes, scores = clusters(6, ROOM)
    everything = assert_greedy(boxes, scores, 0.5)
    for max_output in (1, 17):
        assert assert_greedy(boxes, scores, 0.5, max_output) == everything[:max_output]


def test_a_chain_in_which_each_suppresses_the_next_keeps_every_other_box():
    left = np.arange(100, dtype=np.float32)
    boxes = np.stack([left, 0 * left, left + 3, 0 * left + 3], axis=1)
    # Neighbours overlap by 1/2, those one further by 1/5.
    assert assert_greedy(boxes, -left, 0.4) == list(range(0, 100, 2))


def test_equal_scores_are_taken_in_the_order_of_their_index():
    boxes, _ = clusters(7, 120)
    assert_greedy(boxes, np.zeros(120), 0.5)
    assert_greedy(boxes, np.arange(120) // 7 % 3, 0.5)


def test_zeros_of_both_signs_are_equal_scores():
    boxes = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(4)], np.float32)
    assert assert_greedy(boxes, [-0.0, 0.0, -0.0, 0.0], 0.5) == [0, 1, 2, 3]


def test_of_identical_boxes_the_first_stays():
    assert assert_greedy([[3, 3, 9, 9]] * 40, [0.5] * 40, 0.9) == [0]


def test_boxes_that_only_touch_both_stay():
    boxes = [[0, 0, 2, 2], [2, 0, 4, 2], [0, 2, 2, 4]]
    assert assert_greedy(boxes, [3, 2, 1], 0.0) == [0, 1, 2]


def test_zero_area_boxes_overlap_nothing():
    boxes = [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 4, 4], [2, 0, 2, 4]]
    assert assert_greedy(boxes, [4, 3, 2, 1], 0.0) == [0, 1, 2, 3]


def test_an_overlap_of_just_the_threshold_stays():
    boxes = [[0, 0, 4, 4], [0, 0, 4, 2]]  # IoU 1/2
    assert assert_greedy(boxes, [2, 1], 0.5) == [0, 1]
    assert assert_greedy(boxes, [2, 1], 0.499) == [0]


def test_groups_do_not_suppress_each_other():
    boxes, scores = clusters(8, ROOM, objects=3)
    groups = np.random.default_rng(0).integers(0, 4, ROOM).astype(np.int32)
    grouped = assert_greedy(boxes, scores, 0.5, groups=groups)
    apart = [
        np.flatnonzero(groups == g)[i]
        for g in range(4)
        for i in numpy_nms(
            boxes[groups == g], scores[groups == g], np.ones(sum(groups == g), bool), 0.5, ROOM
        )
    ]
    assert sorted(grouped) == sorted(apart)
    assert len(grouped) > len(assert_greedy(boxes, scores, 0.5))


def test_padding_changes_nothing_whatever_it_holds():
    boxes, scores = clusters(9, ROOM)
    valid = np.random.default_rng(1).random(ROOM) < 0.6
    expected = assert_greedy(boxes, scores, 0.5, valid=valid)
    for garbage in (np.nan, np.inf, -np.inf, 1e30, 0.0):
        boxes[~valid], scores[~valid] = garbage, garbage
        assert kept_by(nms, boxes, scores, valid, 0.5, ROOM) == expected
        assert kept_by(tiled_nms, boxes, scores, valid, 0.5, ROOM) == expected


def test_a_valid_score_of_minus_infinity_comes_before_padding():
    boxes = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(3)], np.float32)
    valid = np.array([False, True, True])
    assert assert_greedy(boxes, [np.inf, -np.inf, 1], 0.5, valid=valid) == [2, 1]


def test_nothing_valid_keeps_nothing():
    boxes, scores = clusters(10, 20)
    assert assert_greedy(boxes, scores, 0.5, valid=np.zeros(20, bool)) == []


def test_no_boxes_keep_nothing():
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, bool)
    assert kept_by(nms, *empty, 0.5, 3) == []


def test_fewer_boxes_than_places():
    boxes, scores = np.array([[0, 0, 5, 5], [10, 0, 15, 5]], np.float32), np.ones(2, np.float32)
    assert kept_by(nms, boxes, scores, np.ones(2, bool), 0.5, 9) == [0, 1]


@pytest.mark.parametrize("function", [suppression.nms, in_small_tiles, of_twenty_at_a_time])
def test_images_of_a_batch_are_suppressed_as_they_would_be_alone(function):
    images = [clusters(seed, 100, objects=2 + 5 * seed) for seed in range(3)]
    boxes, scores = (np.stack(x) for x in zip(*images, strict=True))
    valid = np.ones((3, 100), bool)
    valid[1, 30:] = False
    batch = jax.jit(jax.vmap(lambda b, s, v: function(b, s, v, 0.5, 60)))
    index, keep_valid = batch(boxes, scores, valid)
    for i in range(3):
        expected = numpy_nms(boxes[i], scores[i], valid[i], 0.5, 60)
        assert index[i][keep_valid[i]].tolist() == expected


def test_boxes_gathered_by_index_carry_the_gradient():
    boxes, scores = clusters(11, 30)

    @jax.jit
    @jax.grad
    def slopes(boxes):
        index, keep_valid = suppression.nms(boxes, scores + boxes[:, 0], np.ones(30, bool), 0.5, 30)
        return jnp.sum(jnp.where(keep_valid[:, None], boxes[index], 0))

    expected = np.zeros((30, 4))
    expected[numpy_nms(boxes, scores + boxes[:, 0], np.ones(30, bool), 0.5, 30)] = 1
    np.testing.assert_array_equal(slopes(boxes), expected)


def test_no_more_rounds_are_made_than_the_places_need():
    boxes, scores = (jnp.asarray(x) for x in clusters(5, 100))
    made = []

    def boxes_of(index):
        jax.debug.callback(lambda x: made.extend(x.tolist()), index)
        return suppression.Boxes(boxes[index], jnp.arange(10), jnp.ones(10, bool))

    jax.block_until_ready(suppression.nms_in_rounds(scores, boxes_of, 0.5, 20, 10))
    jax.effects_barrier()
    best = np.argsort(-np.asarray(scores))[:20]
    assert sorted(set(made)) == sorted(best.tolist())  # of ten groups each: two rounds fill 20


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("kind", ["", "adversarial_", "grouped_"])
def test_keeps_what_torchvision_keeps(kind, threshold):
    adversarial = kind == "adversarial_"
    boxes = RECORDED["adversarial" if adversarial else "boxes"]
    scores = RECORDED["adversarial_scores" if adversarial else "scores"]
    groups = RECORDED["groups"].astype(np.int32) if kind == "grouped_" else None
    valid = np.ones(len(boxes), bool)
    kept, there = nms(boxes, scores, valid, threshold, len(boxes), groups)
    np.testing.assert_array_equal(kept[there], RECORDED[f"{kind}kept_{threshold}"])

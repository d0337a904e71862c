import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.ops import matching
from jaxrcnn.ops.boxes import iou_matrix

STATIC = ("foreground_iou", "background_iou", "low_quality_matches", "background_floor")
match = jax.jit(matching.match, static_argnames=STATIC)
mark_ignored = jax.jit(matching.mark_ignored)


def rpn_match(iou, valid=None, low_quality_matches=True, **options):
    iou = np.asarray(iou, np.float32)
    valid = np.ones(iou.shape[1], bool) if valid is None else np.asarray(valid)
    return match(iou, valid, 0.7, 0.3, low_quality_matches, **options)


def numpy_match(iou, valid, foreground_iou, background_iou, low_quality_matches):
    """Labels and indices, one anchor after another."""
    index, label = [], []
    for row in iou:
        best, box = 0.0, -1
        for j in np.flatnonzero(valid):
            if box < 0 or row[j] > best:
                best, box = row[j], j
        index.append(box)
        label.append(1 if best >= foreground_iou else 0 if best < background_iou else -1)
    if low_quality_matches:
        for j in np.flatnonzero(valid):
            best = iou[:, j].max()
            for i in range(len(iou)):
                if best > 0 and iou[i, j] == best:
                    label[i] = 1
    return np.array(index), np.array(label)


def test_thresholds_belong_to_the_label_above_them():
    got = rpn_match([[0.7], [0.69], [0.3], [0.29], [0.0]], low_quality_matches=False)
    assert got.label.tolist() == [1, -1, -1, 0, 0]
    np.testing.assert_allclose(got.overlap, [0.7, 0.69, 0.3, 0.29, 0.0])
    assert [x.dtype for x in got] == [jnp.int32, jnp.int32, jnp.float32]


def test_index_is_the_box_of_largest_overlap_and_the_first_of_equals():
    got = rpn_match([[0.1, 0.8, 0.2], [0.5, 0.5, 0.1], [0.0, 0.0, 0.9]])
    assert got.index.tolist() == [1, 0, 2]


def test_every_best_anchor_of_a_box_is_a_low_quality_match():
    iou = [[0.2, 0.0], [0.2, 0.0], [0.1, 0.4], [0.0, 0.1]]
    assert rpn_match(iou).label.tolist() == [1, 1, 1, 0]
    assert rpn_match(iou, low_quality_matches=False).label.tolist() == [0, 0, -1, 0]


def test_a_low_quality_match_keeps_the_anchors_own_best_box():
    # The second box's best anchor is the first one, which overlaps the first box more.
    got = rpn_match([[0.8, 0.25], [0.1, 0.2]])
    assert got.label.tolist() == [1, 0]
    assert got.index.tolist() == [0, 1]


def test_a_box_that_no_anchor_touches_promotes_none():
    got = rpn_match([[0.0, 0.9], [0.0, 0.1], [0.0, 0.0]])
    assert got.label.tolist() == [1, 0, 0]


def test_without_valid_boxes_everything_is_background():
    for floor in (0.0, 0.1):
        got = rpn_match([[0.9, 0.5], [0.8, 0.4]], valid=[False, False], background_floor=floor)
        assert got.label.tolist() == [0, 0]
        assert got.overlap.tolist() == [0, 0]
        assert got.index.tolist() == [0, 0]


def test_padding_never_matches_whatever_it_holds():
    iou = np.array([[0.1, 0.8, 0.2], [0.5, 0.6, 0.1], [0.0, 0.2, 0.0]], np.float32)
    expected = rpn_match(iou[:, :2])
    for garbage in (0.99, np.nan, np.inf):
        padded = iou.copy()
        padded[:, 2] = garbage
        got = rpn_match(padded, valid=[True, True, False])
        for field, value in zip(got, expected, strict=True):
            np.testing.assert_array_equal(field, value)


def test_an_untouched_anchor_points_at_a_valid_box():
    got = rpn_match([[0.9, 0.0], [0.9, 0.0]], valid=[False, True])
    assert got.index.tolist() == [1, 1]


def test_nan_of_one_anchor_leaves_the_others_alone():
    got = rpn_match([[np.nan, np.nan], [0.8, 0.1], [0.1, 0.2]])
    assert got.label.tolist() == [0, 1, 1]
    assert got.overlap[0] == 0


def test_overlaps_below_the_floor_are_ignored():
    iou = np.array([[0.05], [0.1], [0.49], [0.5]], np.float32)
    got = match(iou, np.array([True]), 0.5, 0.5, False, background_floor=0.1)
    assert got.label.tolist() == [-1, 0, 0, 1]


def test_random_overlaps_with_ties_equal_the_sequential_matcher():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        iou = rng.integers(0, 11, (40, 6)).astype(np.float32) / 10
        iou[:, 4] *= 0.2
        iou[:, 5] = 0
        valid = np.array([True, True, False, True, True, True])
        for low_quality_matches in (False, True):
            got = match(iou, valid, 0.7, 0.3, low_quality_matches)
            index, label = numpy_match(iou, valid, 0.7, 0.3, low_quality_matches)
            np.testing.assert_array_equal(got.index, index)
            np.testing.assert_array_equal(got.label, label)


def test_every_touched_box_gets_an_anchor_when_fused_with_the_overlaps():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 500, (2000, 2))
    anchors = np.concatenate([corner, corner + rng.uniform(5, 90, (2000, 2))], axis=1)
    truth = (anchors[:50] + rng.normal(0, 30, (50, 4))).astype(np.float32)
    truth[:, 2:] = np.maximum(truth[:, 2:], truth[:, :2] + 3)

    @jax.jit
    def match_boxes(anchors, truth):
        # A foreground threshold above 1 leaves the low-quality matches alone.
        return matching.match(iou_matrix(anchors, truth), np.ones(50, bool), 2.0, 0.0, True)

    label = np.asarray(match_boxes(anchors.astype(np.float32), truth).label)
    best = np.argmax(iou_matrix(anchors.astype(np.float32), truth), axis=0)
    assert (label[best] == 1).all()
    assert (label == 1).sum() == len(set(best.tolist()))


def test_matching_cuts_the_gradient():
    iou = np.array([[0.8, 0.1], [0.2, 0.4]], np.float32)
    slopes = jax.jit(jax.grad(lambda x: jnp.sum(rpn_match_overlap(x))))(iou)
    assert slopes.tolist() == [[0, 0], [0, 0]]


def rpn_match_overlap(iou):
    return matching.match(iou, jnp.ones(2, bool), 0.7, 0.3, True).overlap


def test_ignore_regions_take_background_only():
    label = np.array([0, 0, 1, -1, 0], np.int32)
    coverage = np.array([[0.5, 0.9], [0.49, 0.9], [1.0, 0], [1.0, 0], [0.2, 1.0]], np.float32)
    got = mark_ignored(label, coverage, np.array([True, False]))
    assert got.tolist() == [-1, 0, 1, -1, 0]
    assert got.dtype == jnp.int32


def test_ignore_threshold_moves_the_cut():
    label, coverage = np.zeros(3, np.int32), np.array([[0.2], [0.3], [0.4]], np.float32)
    assert mark_ignored(label, coverage, np.array([True]), 0.3).tolist() == [0, -1, -1]


def test_without_ignore_regions_labels_stay_whatever_padding_holds():
    label = np.array([0, 1, -1], np.int32)
    coverage = np.array([[np.nan, 1.0]] * 3, np.float32)
    assert mark_ignored(label, coverage, np.array([False, False])).tolist() == [0, 1, -1]

"""Hard examples by hand, and against the sequential algorithm in numpy."""

import functools

import jax
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig, HardExampleConfig
from jaxrcnn.stages.losses import box_head_losses
from jaxrcnn.stages.mining import mine_hard_examples
from jaxrcnn.types import BoxOutput, RoiSamples

BOXES = np.array(
    [
        [0, 0, 10, 10],
        [0, 0, 10, 8],  # IoU .8 with the one before
        [0, 0, 10, 6],  # IoU .6 with the first, .75 with the second
        [40, 40, 60, 60],
        [40, 40, 60, 55],  # IoU .75 with the one before
        [80, 0, 90, 10],
    ],
    np.float32,
)


def make(of_class, of_box, boxes=BOXES, valid=None):
    """RoIs (N, S) whose losses are these: foreground where of_box is not 0, background elsewhere.

    There is one class. A cross-entropy of c is that of the logits 0 for what is right and
    log(e^c - 1) for what is wrong; an L1 of b is that of the deltas (b, 0, 0, 0) where the box is
    the ground truth.
    """
    of_class, of_box = (np.atleast_2d(np.asarray(x, np.float64)) for x in (of_class, of_box))
    labels = (of_box > 0).astype(np.int32)
    logits = np.zeros((*labels.shape, 2), np.float32)
    np.put_along_axis(logits, 1 - labels[..., None], np.log(np.expm1(of_class))[..., None], 2)
    deltas = np.zeros((*labels.shape, 1, 4), np.float32)
    deltas[..., 0, 0] = of_box
    boxes = np.broadcast_to(boxes, (*labels.shape, 4)).astype(np.float32)
    valid = np.ones(labels.shape, bool) if valid is None else np.atleast_2d(valid)
    weights = np.ones(labels.shape, np.float32)
    rois = RoiSamples(boxes, boxes, labels, boxes, weights, valid, np.zeros_like(labels))
    return BoxOutput(logits, deltas), rois


def head(class_weight=1.0, box_weight=1.0, **mining):
    return BoxHeadConfig(
        class_weight=class_weight, box_weight=box_weight, mining=HardExampleConfig(**mining)
    )


mine = jax.jit(mine_hard_examples, static_argnums=3)


def kept(output, rois, config):
    """Indices that stay valid in the first image."""
    ones = np.ones(len(rois.valid), np.float32)
    return np.flatnonzero(mine(output, rois, ones, config).valid[0]).tolist()


def test_without_mining_the_rois_stay_as_they_are():
    output, rois = make([1, 2, 3, 4, 5, 6], [0] * 6)
    jax.tree.map(np.testing.assert_array_equal, mine(output, rois, np.ones(1), head()), rois)


@pytest.mark.parametrize(
    ("keep", "nms_iou", "expected"),
    [
        (1, 0.7, [1]),
        (2, 0.7, [1, 4]),  # the second hardest, 0, lies on 1
        (3, 0.7, [1, 4, 5]),  # 2 lies on 1, 3 on 4
        (64, 0.7, [1, 4, 5]),
        (64, 0.78, [1, 2, 3, 4, 5]),
        (3, 1.0, [0, 1, 4]),
        (64, 1.0, [0, 1, 2, 3, 4, 5]),
        (64, 0.0, [1, 4, 5]),
    ],
)
def test_the_hardest_stay_and_drop_what_they_overlap(keep, nms_iou, expected):
    output, rois = make([5, 6, 2, 3, 4, 1], [0] * 6)
    assert kept(output, rois, head(keep=keep, nms_iou=nms_iou)) == expected


def test_what_is_dropped_drops_nothing_itself():
    output, rois = make([6, 5, 4, 1, 1, 1], [0] * 6)  # 0 drops 1, which would have dropped 2
    assert kept(output, rois, head(keep=2)) == [0, 2]


def test_a_roi_drops_others_whatever_their_labels():
    output, rois = make([1, 2, 2.5, 3, 2, 1], [2.5, 0, 1, 0, 2, 0])  # losses 3.5 2 3.5 3 4 1
    assert kept(output, rois, head(keep=64)) == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({}, 1),  # 4, 5, 3
        ({"class_weight": 0.0}, 0),  # 3, 2, 0
        ({"box_weight": 0.0}, 1),  # 1, 3, 3: of equals the first
        ({"box_weight": 0.25}, 1),  # 1.75, 3.5, 3
        ({"class_weight": 0.25}, 0),  # 3.25, 2.75, .75
    ],
)
def test_the_ranking_adds_both_losses_with_its_own_factors_and_the_loss_s(factors, expected):
    output, rois = make([1, 3, 3], [3, 2, 0], BOXES[[0, 3, 5]])
    in_ranking = HardExampleConfig(keep=1, **factors)
    assert kept(output, rois, BoxHeadConfig(mining=in_ranking)) == [expected]
    in_loss = BoxHeadConfig(mining=HardExampleConfig(keep=1), **factors)
    assert kept(output, rois, in_loss) == [expected]


def test_weights_of_the_ground_truth_are_part_of_the_loss():
    output, rois = make([1, 1], [2, 1], BOXES[[0, 3]])
    assert kept(output, rois, head(keep=1)) == [0]
    rois.weights[0] = [0.5, 1.0]  # losses 1.5 and 2
    assert kept(output, rois, head(keep=1)) == [1]


def test_padding_of_any_content_takes_no_part():
    valid = [True, False, True, True, False, True]
    output, rois = make([5, 9, 2, 3, 9, 1], [0] * 6, valid=valid)
    config = head(keep=64, max_negatives_per_positive=1.0, min_negatives_per_image=3)
    assert kept(output, rois, config) == [0, 2, 3]  # 4 of them; the limit takes the easiest
    for array in (output.class_logits, output.deltas, rois.weights):
        array[0, ~rois.valid[0]] = np.nan
    boxes = rois.boxes.copy()
    boxes[0, ~rois.valid[0]] = np.nan
    dirty = rois._replace(boxes=boxes, references=boxes, matched_boxes=boxes)
    assert kept(output, dirty, config) == [0, 2, 3]
    nothing = dirty._replace(valid=np.zeros((1, 6), bool))
    assert kept(output, nothing, config) == []


APART = np.array([[100 * i, 0, 100 * i + 10, 10] for i in range(6)], np.float32)


@pytest.mark.parametrize(
    ("keep", "ratio", "least", "expected"),
    [
        (64, 0.0, 0, [0, 1, 2, 3, 4, 5]),  # no limit
        (64, 1.0, 0, [0, 3, 4, 5]),  # two positives, two negatives
        (64, 0.5, 0, [0, 3, 5]),
        (64, 0.75, 0, [0, 3, 5]),  # one and a half are one
        (64, 1.0, 3, [0, 2, 3, 4, 5]),
        (64, 1.0, 100, [0, 1, 2, 3, 4, 5]),
        (64, 3.0, 1, [0, 1, 2, 3, 4, 5]),
        (3, 1.0, 0, [0, 5]),  # the positive that no place is left for has no negatives
        (3, 3.0, 0, [0, 4, 5]),
    ],
)
def test_negatives_are_limited_by_the_positives_that_are_kept(keep, ratio, least, expected):
    # Ranked by loss: 0 positive, 5, 4, 3 positive, 2, 1.
    output, rois = make([3, 1, 2, 2, 4, 5], [4, 0, 0, 1.5, 0, 0], APART)
    config = head(keep=keep, max_negatives_per_positive=ratio, min_negatives_per_image=least)
    assert kept(output, rois, config) == expected


@pytest.mark.parametrize(("least", "expected"), [(0, []), (1, [4]), (2, [3, 4])])
def test_without_positives_the_least_number_of_negatives_stays(least, expected):
    output, rois = make([1, 2, 3, 4, 5], [0] * 5, APART[:5])
    config = head(keep=64, max_negatives_per_positive=3.0, min_negatives_per_image=least)
    assert kept(output, rois, config) == expected


def test_without_negatives_all_positives_stay():
    output, rois = make([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], APART[:5])
    assert kept(output, rois, head(keep=4, max_negatives_per_positive=1.0)) == [1, 2, 3, 4]


def sequential(boxes, loss, labels, valid, mining):
    """The algorithm as a person would write it."""
    chosen = []
    for i in sorted(np.flatnonzero(valid), key=lambda i: -loss[i]):
        if len(chosen) < mining.keep and all(iou(boxes[i], boxes[j]) <= 0.7 for j in chosen):
            chosen.append(i)
    positives = sum(labels[i] > 0 for i in chosen)
    limit = max(mining.min_negatives_per_image, mining.max_negatives_per_positive * positives)
    negatives = [i for i in chosen if labels[i] == 0]
    return sorted({*chosen} - {*negatives[int(limit) :]})


def iou(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = np.prod(np.maximum(sides, 0))
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


def test_every_image_of_a_batch_is_mined_as_if_it_were_alone():
    rng = np.random.default_rng(0)
    n, s = 3, 60
    corner = rng.uniform(0, 20, (n, s, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(15, 25, (n, s, 2))], 2)
    of_class = rng.uniform(0.1, 5, (n, s))
    of_box = rng.uniform(0.1, 5, (n, s))
    of_box = np.where(rng.uniform(size=(n, s)) < [[0.2], [0.5], [0.0]], of_box, 0.0)
    valid = rng.uniform(size=(n, s)) < 0.9
    output, rois = make(of_class, of_box, boxes, valid)
    mining = HardExampleConfig(keep=20, max_negatives_per_positive=1.5, min_negatives_per_image=5)
    got = mine(output, rois, np.ones(n, np.float32), BoxHeadConfig(mining=mining)).valid
    for i in range(n):
        expected = sequential(
            rois.boxes[i], (of_class + of_box)[i], rois.labels[i], valid[i], mining
        )
        assert np.flatnonzero(got[i]).tolist() == expected
        assert 5 <= len(expected) < valid[i].sum()


@functools.partial(jax.jit, static_argnums=3)
def mined_losses(output, rois, image_weights, config):
    mined = mine_hard_examples(output, rois, image_weights, config)
    return box_head_losses(output, mined, image_weights, config)


def test_losses_are_divided_by_what_was_kept_over_the_batch():
    output, rois = make(
        [[5, 6, 2, 3, 4, 1], [1, 1, 1, 1, 1, 2], [9, 9, 9, 9, 9, 9]],
        [[0, 0, 0, 0, 0.5, 0], [2, 0, 0, 3, 0, 0], [9, 9, 9, 9, 9, 9]],
    )
    config = head(class_weight=2.0, box_weight=3.0, keep=3, max_negatives_per_positive=1.0)
    # First image: 1, 4, 5 are the hardest; 4 is a positive, so 1 stays and 5 goes. Second: 3, 0,
    # 5, of which two are positive. The third is padding.
    weights = np.array([1, 0.5, 0], np.float32)
    of_class = ((6 + 4) + 0.5 * (1 + 1 + 2)) / 5
    of_box = (0.5 + 0.5 * (3 + 2)) / 5
    got = mined_losses(output, rois, weights, config)
    np.testing.assert_allclose(got, [2 * of_class, 3 * of_box], rtol=1e-5)


def test_the_gradient_reaches_what_was_kept_of_every_image_and_nothing_else():
    """TF OD API's miner returns after image 0."""
    output, rois = make([[5, 6, 2, 3, 4, 1], [1, 2, 3, 4, 5, 6]], [[0, 0, 0, 0, 1, 0], [1] * 6])
    weights, config = np.ones(2, np.float32), head(keep=2)

    def total(output, config):
        return sum(mined_losses(output, rois, weights, config))

    gradient = jax.grad(total)(output, config)
    stay = np.zeros((2, 6), bool)
    stay[0, [1, 4]] = stay[1, [5, 4]] = True
    assert ((np.abs(gradient.class_logits) > 1e-3).all(2) == stay).all()
    assert ((np.asarray(gradient.class_logits) == 0).all(2) == ~stay).all()
    # d|d| = 1 over the four that were kept; no part of it is the choice's.
    np.testing.assert_allclose(gradient.deltas[..., 0, 0], stay * (rois.labels > 0) / 4, rtol=1e-6)

"""Proposals of a few anchors, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import DeltaGradientConfig, ModelConfig, ProposalsConfig
from jaxrcnn.stages.proposals import propose
from jaxrcnn.types import RpnOutput

ANCHORS = np.array(
    [
        [0, 0, 10, 10],
        [0, 0, 10, 9],  # overlaps the first by 0.9
        [20, 20, 30, 30],
        [40, 0, 60, 10],  # reaches out of the image, to x = 50
        [0, 0, 10, 10],  # of the second level from here
        [0, 30, 1, 40],
    ],
    np.float32,
)
SIZES = np.array([[40, 50]], np.int32)
run = jax.jit(propose, static_argnums=(2, 4, 5))


def check(proposals, boxes, scores):
    number = len(boxes)
    valid = np.arange(proposals.valid.shape[1]) < number
    np.testing.assert_array_equal(proposals.valid[0], valid)
    np.testing.assert_allclose(proposals.boxes[0][:number], boxes, atol=1e-5)
    np.testing.assert_array_equal(proposals.scores[0][:number], scores)
    assert (np.asarray(proposals.scores[0][number:]) == -np.inf).all()


def propose_with(objectness, deltas=None, train=True, **fields):
    deltas = np.zeros((6, 4)) if deltas is None else deltas
    rpn = RpnOutput(np.array([objectness], np.float32), np.array([deltas], np.float32))
    config = ModelConfig(proposals=ProposalsConfig(**fields))
    return run(rpn, ANCHORS, (4, 2), SIZES, config, train)


def test_best_first_over_levels_with_suppression_within_a_level_only():
    # The fifth equals the first, and stays: it is of another level.
    got = propose_with([5, 4, 3, 2, 6, 1])
    boxes = [ANCHORS[4], ANCHORS[0], ANCHORS[2], [40, 0, 50, 10], ANCHORS[5]]
    check(got, boxes, [6, 5, 3, 2, 1])


def test_counts_of_training_and_of_inference():
    fields = {"pre_nms_train": 2, "post_nms_train": 3, "pre_nms_test": 1, "post_nms_test": 9}
    check(
        propose_with([5, 4, 3, 2, 6, 1], **fields), [ANCHORS[4], ANCHORS[0], ANCHORS[5]], [6, 5, 1]
    )
    got = propose_with([5, 4, 3, 2, 6, 1], train=False, **fields)
    check(got, [ANCHORS[4], ANCHORS[0]], [6, 5])


def test_low_scores_take_no_part():
    # The probabilities of 0.9 and of 0.25: log(9) and log(1/3).
    got = propose_with([5, 4, np.log(9), -3, np.log(1 / 3), -4], score_threshold=0.24)
    check(got, [ANCHORS[0], ANCHORS[2], ANCHORS[4]], np.float32([5, np.log(9), np.log(1 / 3)]))
    got = propose_with([5, 4, np.log(9), -3, np.log(1 / 3), -4], score_threshold=0.89)
    check(got, [ANCHORS[0], ANCHORS[2]], np.float32([5, np.log(9)]))


def test_small_and_non_finite_boxes_take_no_part():
    deltas = np.zeros((6, 4))
    deltas[0, 0] = np.nan
    got = propose_with([5, 4, 3, 2, 6, 1], deltas, min_size=2.0)
    check(got, [ANCHORS[4], ANCHORS[1], ANCHORS[2], [40, 0, 50, 10]], [6, 4, 3, 2])


def test_boxes_without_area_take_no_part_whatever_the_smallest_size():
    deltas = np.zeros((6, 4))
    deltas[2, 0] = 5.0  # five widths to the right: outside the image, cut to nothing
    got = propose_with([5, 4, 3, 2, 6, 1], deltas)
    check(got, [ANCHORS[4], ANCHORS[0], [40, 0, 50, 10], ANCHORS[5]], [6, 5, 2, 1])


def test_of_more_anchors_of_equal_score_than_fit_the_first_are_taken():
    got = propose_with([5, 5, 5, 5, 5, 5], pre_nms_train=3, nms_iou=1.0)
    check(got, [ANCHORS[i] for i in (0, 1, 2, 4, 5)], [5] * 5)


def gradient_of_right_sides(deltas=None, **fields):
    """Of the sum of the proposals' x1, in the deltas (6, 4)."""
    config = ModelConfig(proposals=ProposalsConfig(**fields))

    def right_sides(deltas):
        rpn = RpnOutput(np.array([[5, 4, 3, 2, 6, 1]], np.float32), deltas)
        found = propose(rpn, jnp.asarray(ANCHORS), (4, 2), SIZES, config, train=True)
        return (found.boxes[..., 2] * found.valid).sum()

    deltas = np.zeros((6, 4)) if deltas is None else deltas
    return jax.jit(jax.grad(right_sides))(np.array([deltas], np.float32))[0]


def test_gradient_reaches_the_deltas_of_what_is_proposed():
    gradient = gradient_of_right_sides(post_nms_train=2)
    expected = np.zeros((6, 4))
    # x1 = centre + dx * width + width * exp(dw) / 2: of width 10, 10 for dx and 5 for dw.
    expected[[4, 0], 0], expected[[4, 0], 2] = 10, 5
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("limit", "of_the_first"),
    [
        ({"clip": 6.0}, [6, 0, 5, 0]),
        ({"clip_norm": 5.0**0.5}, [2, 0, 1, 0]),
        ({"divide_by_anchor_size": True}, [1, 0, 0.5, 0]),
        ({"divide_by_anchor_size": True, "clip": 0.75}, [0.75, 0, 0.5, 0]),
        ({"clip_norm": 125.0**0.5 * 0.8, "clip": 7.0}, [7, 0, 4, 0]),
    ],
)
def test_limits_of_the_deltas_gradient(limit, of_the_first):
    gradient = gradient_of_right_sides(delta_gradient=DeltaGradientConfig(**limit))
    np.testing.assert_allclose(gradient[0], of_the_first, rtol=1e-5)


def test_gradient_of_what_reaches_out_of_the_image():
    deltas = np.zeros((6, 4))
    deltas[2, 1] = 1.5  # the third box moves down by 15, its sides to 35 and 45 of 40
    deltas[3, 0] = -1.0  # the fourth moves from x 40..60 to 20..40, into the image of 50

    def reached(**limit):
        gradient = gradient_of_right_sides(deltas, delta_gradient=DeltaGradientConfig(**limit))
        return [bool(x) for x in (np.abs(gradient) > 0).any(1)]

    # The second and fifth equal others: the second is suppressed, the fifth is of its own level.
    assert reached() == [True, False, True, True, True, True]
    assert reached(zero_if_clipped=True) == [True, False, False, True, True, True]
    assert reached(zero_outside_anchors=True) == [True, False, True, False, True, True]

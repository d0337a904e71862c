"""Sampled RoIs of a few proposals, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.config import BoxHeadConfig, HardExampleConfig, ModelConfig, ProposalsConfig
from jaxrcnn.ops.sampling import Sample, sample
from jaxrcnn.stages.rois import sample_rois
from jaxrcnn.types import Batch, Proposals

TRUTH = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 90, 90]], np.float32)
PROPOSALS = np.array(
    [
        [0, 0, 10, 8],  # IoU .8 with the first
        [20, 20, 40, 24],  # IoU .2 with the second
        [50, 0, 60, 10],  # touches nothing
        [61, 61, 80, 80],  # wholly in the third, which is an ignore region
        [0, 0, 10, 10],  # padding
    ],
    np.float32,
)


def make_batch():
    return Batch(
        images=np.zeros((1, 100, 100, 3), np.uint8),
        image_sizes=np.array([[100, 100]], np.int32),
        image_index=np.zeros(1, np.int32),
        image_weights=np.ones(1, np.float32),
        boxes=TRUTH[None],
        labels=np.array([[2, 3, 1]], np.int32),
        box_valid=np.array([[True, True, False]]),
        box_ignore=np.array([[False, False, True]]),
        box_weights=np.array([[0.5, 2.0, 0.0]], np.float32),
    )


def in_order(key, label, overlap, size, foreground_fraction):
    """All foreground, then all background, as they stand."""
    order = jnp.argsort(jnp.where(label == 1, 0, jnp.where(label == 0, 1, 2)))
    padded = jnp.pad(order, (0, max(0, size - len(order))))[:size]
    chosen = jnp.arange(size) < (label >= 0).sum()
    return Sample(padded, chosen)


def draw(boxes=PROPOSALS, append=True, sampler=in_order, **head):
    config = ModelConfig(
        proposals=ProposalsConfig(append_ground_truth=append),
        box_head=BoxHeadConfig(samples=6, **head),
    )
    proposals = Proposals(
        boxes[None], np.zeros((1, 5), np.float32), np.array([[True] * 4 + [False]])
    )
    run = jax.jit(sample_rois, static_argnums=(3, 4))
    return run(jax.random.split(jax.random.key(0), 1), proposals, make_batch(), config, sampler)


def test_proposals_and_appended_ground_truth_by_hand():
    rois = jax.tree.map(lambda x: np.asarray(x[0]), draw())
    # Foreground: the first proposal, then both valid ground-truth boxes. Background: two.
    np.testing.assert_array_equal(rois.valid, [True] * 5 + [False])
    np.testing.assert_array_equal(
        rois.boxes[:5], [PROPOSALS[0], TRUTH[0], TRUTH[1], PROPOSALS[1], PROPOSALS[2]]
    )
    np.testing.assert_array_equal(rois.labels, [2, 2, 3, 0, 0, 0])
    np.testing.assert_array_equal(
        rois.matched_boxes[:5], [TRUTH[0], TRUTH[0], TRUTH[1], PROPOSALS[1], PROPOSALS[2]]
    )
    np.testing.assert_array_equal(rois.weights[:5], [0.5, 0.5, 2.0, 1.0, 1.0])


def test_without_appended_ground_truth_only_proposals_are_drawn():
    rois = jax.tree.map(lambda x: np.asarray(x[0]), draw(append=False))
    np.testing.assert_array_equal(rois.valid, [True] * 3 + [False] * 3)
    np.testing.assert_array_equal(rois.labels[:3], [2, 0, 0])


def test_background_floor_leaves_out_what_overlaps_less():
    rois = jax.tree.map(lambda x: np.asarray(x[0]), draw(append=False, background_iou=0.1))
    np.testing.assert_array_equal(rois.valid, [True] * 2 + [False] * 4)
    np.testing.assert_array_equal(rois.boxes[:2], [PROPOSALS[0], PROPOSALS[1]])


def test_where_hard_examples_are_mined_all_are_drawn_that_may_be_trained():
    for sampler in (in_order, sample):
        rois = draw(sampler=sampler, foreground_fraction=0.1, mining=HardExampleConfig(keep=1))
        rois = jax.tree.map(lambda x: np.asarray(x[0]), rois)
        np.testing.assert_array_equal(rois.valid, [True] * 5 + [False] * 3)  # 5 proposals, 3 boxes
        drawn = {(*box, label) for box, label in zip(rois.boxes[:5], rois.labels[:5], strict=True)}
        assert drawn == {
            (*PROPOSALS[0], 2),
            (*TRUTH[0], 2),
            (*TRUTH[1], 3),
            (*PROPOSALS[1], 0),
            (*PROPOSALS[2], 0),
        }
    fields = {"append": False, "background_iou": 0.1, "mining": HardExampleConfig(keep=1)}
    rois = jax.tree.map(lambda x: np.asarray(x[0]), draw(**fields))
    np.testing.assert_array_equal(rois.valid, [True] * 2 + [False] * 3)
    np.testing.assert_array_equal(rois.boxes[:2], PROPOSALS[:2])


def test_boxes_carry_the_gradient_of_their_proposals_and_labels_none():
    def total(boxes):
        rois = draw(boxes)
        return (rois.boxes * jnp.array([1.0, 2.0, 3.0, 4.0])).sum() + rois.matched_boxes[
            0, :3
        ].sum()

    gradient = np.asarray(jax.grad(total)(jnp.asarray(PROPOSALS)))
    np.testing.assert_array_equal(gradient[[0, 1, 2]], np.tile([1.0, 2.0, 3.0, 4.0], (3, 1)))
    np.testing.assert_array_equal(gradient[4], 0)  # padding, never drawn

import dataclasses

import numpy as np
import pytest

from jaxrcnn.config import ModelConfig, ProposalsConfig
from jaxrcnn.data.batches import make_eval_batch, make_train_batch
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.synthetic import shapes_dataset
from tests.data.small import assert_same, config_of, given_proposals, small_dataset


def test_a_training_batch_by_hand():
    dataset = small_dataset()
    config = config_of(horizontal_flip=0.0, short_side=8, long_side=12, train_short_sides=())
    batch, unread = make_train_batch(dataset, config, (32, 32), [0, 1], 0)
    assert unread == ()
    assert batch.images.shape == (2, 32, 32, 3)
    assert batch.images.dtype == np.uint8
    # 16x24 becomes 8x12, and 8x16 is limited by its long side: 6x12.
    np.testing.assert_array_equal(batch.image_sizes, [[8, 12], [6, 12]])
    assert (batch.images[1, :6, :12] == 10).all()
    assert batch.images[1].sum() == 10 * 6 * 12 * 3
    np.testing.assert_array_equal(batch.image_index, [0, 1])
    np.testing.assert_array_equal(batch.image_weights, [1, 1])
    assert batch.boxes.shape == (2, 8, 4)
    np.testing.assert_array_equal(batch.boxes[0, :2], [[2, 1, 6, 5], [0, 0, 4, 4]])
    np.testing.assert_array_equal(batch.labels[0], [1, 2] + [0] * 6)
    np.testing.assert_array_equal(batch.box_valid[0], [True] + [False] * 7)
    np.testing.assert_array_equal(batch.box_ignore[0], [False, True] + [False] * 6)
    np.testing.assert_array_equal(batch.box_weights[0], [1] + [0] * 7)
    assert not batch.box_valid[1].any()
    mirrored, _ = make_train_batch(
        dataset,
        dataclasses.replace(config, data=dataclasses.replace(config.data, horizontal_flip=1.0)),
        (32, 32),
        [0, 1],
        0,
    )
    np.testing.assert_array_equal(mirrored.boxes[0, :2], [[6, 1, 10, 5], [8, 0, 12, 4]])
    both = dataclasses.replace(config.data, horizontal_flip=1.0, vertical_flip=1.0)
    turned, _ = make_train_batch(
        dataset, dataclasses.replace(config, data=both), (32, 32), [0, 1], 0
    )
    np.testing.assert_array_equal(turned.boxes[0, :2], [[6, 3, 10, 7], [8, 4, 12, 8]])
    assert batch.proposals is None
    dtypes = [np.asarray(field).dtype for field in batch[:-1]]
    assert dtypes == [
        np.uint8,
        *[np.int32] * 2,
        *[np.float32] * 2,
        np.int32,
        bool,
        bool,
        np.float32,
    ]


def test_a_batch_that_is_not_rounded_is_float32_even_without_images():
    config = config_of(short_side=8, long_side=12, resize="torchvision")
    both, _ = make_eval_batch(small_dataset(), config, (32, 32), [0, 1])
    none, _ = make_eval_batch(small_dataset(), config, (32, 32), [-1, -1])
    assert both.batch.images.dtype == none.batch.images.dtype == np.float32


def with_counts(config, train, test):
    """The config with so many proposals of an image in training and evaluation."""
    model = ModelConfig(proposals=ProposalsConfig(post_nms_train=train, post_nms_test=test))
    return dataclasses.replace(config, model=model)


@pytest.mark.parametrize(
    ("horizontal", "vertical", "first"),
    [(0.0, 0.0, [2, 1, 6, 5]), (1.0, 0.0, [6, 1, 10, 5]), (1.0, 1.0, [6, 3, 10, 7])],
)
def test_given_proposals_go_the_way_of_their_image(horizontal, vertical, first):
    dataset = small_dataset()
    sides = {"short_side": 8, "long_side": 12, "train_short_sides": ()}
    flips = {"horizontal_flip": horizontal, "vertical_flip": vertical}
    config = with_counts(config_of(on_error="skip", **sides, **flips), 2, 5)
    given = given_proposals(dataset)
    batch, unread = make_train_batch(dataset, config, (32, 32), [0, 1, 2], 0, given)
    # 16x24 becomes 8x12; the worst of three is left out.
    boxes, scores, valid = batch.proposals
    np.testing.assert_array_equal(boxes[0], [first, [0, 0, 12, 8]])
    np.testing.assert_array_equal(scores[0], [3, 2])
    np.testing.assert_array_equal(valid, [[True, True], [False, False], [False, False]])
    np.testing.assert_array_equal(boxes[1:], np.zeros((2, 2, 4)))
    np.testing.assert_array_equal(scores[1:], np.full((2, 2), -np.inf))
    assert [x.dtype for x in batch.proposals] == [np.float32, np.float32, bool]
    assert len(unread) == 1
    without, _ = make_train_batch(dataset, config, (32, 32), [0, 1, 2], 0)
    assert_same(batch._replace(proposals=None), without)


def test_given_proposals_of_an_evaluation():
    dataset = small_dataset()
    sides = {"short_side": 32, "long_side": 48, "horizontal_flip": 1.0}
    config = with_counts(config_of(**sides), 2, 4)
    (batch, _), _ = make_eval_batch(dataset, config, (32, 64), [0, -1], given_proposals(dataset))
    boxes, _, valid = batch.proposals
    expected = [[8, 4, 24, 20], [0, 0, 48, 32], [2, 2, 4, 4], [0, 0, 0, 0]]  # twice as large
    np.testing.assert_array_equal(boxes[0], expected)
    np.testing.assert_array_equal(valid, [[True] * 3 + [False], [False] * 4])


def test_given_proposals_without_area_take_no_place():
    dataset = small_dataset()
    boxes = np.array([[3, 3, 3, 9], [4, 2, 12, 10], [5, 7, 9, 7]], np.float32)
    given = join_proposals(dataset, {0: ImageProposals(boxes, np.array([5, 3, 2], np.float32))})
    config = with_counts(config_of(short_side=16, long_side=24), 2, 2)
    (batch, _), _ = make_eval_batch(dataset, config, (32, 32), [0], given)
    np.testing.assert_array_equal(batch.proposals.boxes, [[[4, 2, 12, 10], [0] * 4]])
    np.testing.assert_array_equal(batch.proposals.valid, [[True, False]])


def test_augmentation_draws_both_sides_of_every_choice():
    dataset = shapes_dataset(2, seed=0)
    sizes, first_boxes, pairs = set(), set(), set()
    for step in range(12):
        batch, _ = make_train_batch(dataset, config_of(), (96, 96), [0, 0], step)
        sizes |= {int(size.min()) for size in batch.image_sizes}
        first_boxes |= {box.tobytes() for box in batch.boxes[:, 0]}
        pairs.add(batch.boxes[0].tobytes() == batch.boxes[1].tobytes())
    assert sizes == {48, 64}
    assert len(first_boxes) == 4  # two sizes, each as it is and mirrored
    assert pairs == {True, False}  # positions of a batch draw for themselves


def test_an_unreadable_image_stops_or_becomes_an_empty_one_that_is_named():
    dataset = small_dataset()
    with pytest.raises(DataError, match=r"^p2: image 2: is broken"):
        make_train_batch(dataset, config_of(), (96, 96), [0, 2], 0)
    skip = config_of(on_error="skip", train_short_sides=(), short_side=16)
    batch, unread = make_train_batch(dataset, skip, (32, 64), [0, 2], 0)
    assert len(unread) == 1
    assert unread[0].startswith("p2: image 2: is broken")
    np.testing.assert_array_equal(batch.image_weights, [1, 0])
    np.testing.assert_array_equal(batch.image_index, [0, 2])
    np.testing.assert_array_equal(batch.image_sizes[1], [32, 64])
    assert batch.images[1].sum() == 0
    assert not batch.box_valid[1].any()
    alone, _ = make_train_batch(dataset, skip, (32, 64), [0], 0)
    np.testing.assert_array_equal(alone.images[0], batch.images[0])

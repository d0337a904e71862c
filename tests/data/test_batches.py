import dataclasses

import numpy as np
import pytest

from jaxrcnn.config import ModelConfig, ProposalsConfig
from jaxrcnn.data.batches import make_eval_batch, make_train_batch
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.data.transforms import crop, horizontal_flip
from tests.data.own_transforms import Beside, add_extras, turn
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
    assert batch.extra is None
    dtypes = [np.asarray(field).dtype for field in batch[:-2]]
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


def with_transforms(*transforms, box_room=0):
    return dataclasses.replace(small_dataset(), transforms=transforms, box_room=box_room)


SMALL = {"short_side": 8, "long_side": 12, "train_short_sides": (), "horizontal_flip": 0.0}


def test_extras_arrive_in_the_batch_with_their_image():
    dataset = with_transforms(add_extras)
    batch, _ = make_train_batch(dataset, config_of(**SMALL), (32, 32), [0, 1], 0)
    assert sorted(batch.extra) == ["angle", "mask", "pose"]
    mask = np.zeros((2, 32, 32))
    mask[0, :8, :12], mask[1, :6, :12] = 1, 2  # 16x24 becomes 8x12, and 8x16 6x12
    np.testing.assert_array_equal(batch.extra["mask"], mask)
    assert batch.extra["mask"].dtype == np.uint8
    np.testing.assert_array_equal(batch.extra["pose"], [[1, 1], [2, 1]])
    np.testing.assert_array_equal(batch.extra["angle"], [[1, 2] + [0] * 6, [0] * 8])
    plain, _ = make_train_batch(small_dataset(), config_of(**SMALL), (32, 32), [0, 1], 0)
    assert_same(batch._replace(extra=None), plain)


def test_maps_are_flipped_after_they_are_resized_and_others_are_left_alone():
    columns = np.tile(np.arange(24, dtype=np.int32), (16, 1))
    as_large = np.arange(8 * 12, dtype=np.int32).reshape(8, 12)  # as the resized image

    def transform(sample, record, rng):
        return dataclasses.replace(sample, extra={"columns": columns, "other": as_large})

    flipped = config_of(**{**SMALL, "horizontal_flip": 1.0, "vertical_flip": 1.0})
    batch, _ = make_train_batch(with_transforms(transform), flipped, (32, 32), [0], 0)
    # Twelve columns of twenty-four: centres at 1, 3, 5, ...: the second of each two.
    np.testing.assert_array_equal(batch.extra["columns"][0, 0, :12], range(23, 0, -2))
    assert not batch.extra["columns"][0, 8:].any()
    np.testing.assert_array_equal(batch.extra["other"], [as_large])


def test_transforms_come_after_the_short_side_and_before_the_flips():
    drawn = []

    def transform(sample, record, rng):
        drawn.append(rng.random())
        return sample

    config = config_of(horizontal_flip=0.5, vertical_flip=0.5)
    dataset, sizes, corners, flips = with_transforms(transform), set(), [], []
    for step in range(20):
        rng = np.random.default_rng((5, 2, step, 0))  # the seed and the stream, step and place
        side = int(rng.choice((48, 64)))
        ours = rng.random()
        flips.append((rng.random() < 0.5, rng.random() < 0.5))
        batch, _ = make_train_batch(dataset, config, (96, 96), [0], step)
        assert batch.image_sizes[0, 0] == side
        assert drawn[-1] == ours
        x, y = batch.boxes[0, 0, :2] * 16 / side
        corners.append((x > 5, y > 3))  # the box (4, 2, 12, 10) in 24x16, or (12, 6, 20, 14)
        sizes.add(side)
    assert corners == flips
    assert len(set(flips)) == 4
    assert sizes == {48, 64}


def test_an_image_beside_another_needs_room_for_its_boxes():
    # The image and its copy are 16x48, and 4x12 after resizing: a quarter.
    dataset = with_transforms(Beside(small_dataset(), [0]), box_room=4)
    batch, _ = make_train_batch(dataset, config_of(**SMALL), (32, 32), [0], 0)
    np.testing.assert_array_equal(batch.image_sizes, [[4, 12]])
    expected = [[1, 0.5, 3, 2.5], [0, 0, 2, 2], [7, 0.5, 9, 2.5], [6, 0, 8, 2]]
    np.testing.assert_array_equal(batch.boxes[0, :4], expected)
    np.testing.assert_array_equal(batch.labels[0, :5], [1, 2, 1, 2, 0])
    np.testing.assert_array_equal(batch.box_ignore[0, :5], [False, True] * 2 + [False])
    many = [Beside(small_dataset(), [0])] * 4  # each adds two boxes
    with pytest.raises(ValueError, match=r"^image p0 has 10 boxes .* room for 8; .* at least 10$"):
        make_train_batch(with_transforms(*many), config_of(**SMALL), (32, 32), [0], 0)
    roomy = with_transforms(*many, box_room=10)
    batch, _ = make_train_batch(roomy, config_of(**SMALL), (32, 32), [0], 0)
    assert batch.boxes.shape == (1, 16, 4)
    assert (batch.box_valid | batch.box_ignore).sum() == 10


def test_a_turned_image_is_made_smaller_to_fit_the_landscape_canvas():
    dataset = with_transforms(add_extras, turn)
    config = config_of(horizontal_flip=0.0, train_short_sides=())
    canvas = training_buckets(dataset, config).shapes[0]
    assert canvas == (64, 96)
    batch, _ = make_train_batch(dataset, config, canvas, [0], 0)
    # 24x16 (height, width) would be 96x64; 64 rows are left, and 64 / 24 of 16 columns: 42.7.
    np.testing.assert_array_equal(batch.image_sizes, [[64, 43]])
    x, y = 43 / 16, 64 / 24
    expected = [[2 * x, 12 * y, 10 * x, 20 * y], [0, 16 * y, 8 * x, 24 * y]]
    np.testing.assert_allclose(batch.boxes[0, :2], expected, rtol=1e-6)
    mask = np.zeros((64, 96))
    mask[:, :43] = 1
    np.testing.assert_array_equal(batch.extra["mask"][0], mask)
    portrait, _ = make_train_batch(dataset, config, (96, 64), [4], 0)  # 24x16 becomes 16x24
    np.testing.assert_array_equal(portrait.image_sizes, [[43, 64]])


@pytest.mark.parametrize(("asked", "given"), [((12, 30), (12, 30)), ((40, 20), (21, 32))])
def test_a_transform_may_say_the_size_but_it_has_to_fit_the_canvas(asked, given):
    def sized(sample, record, rng):
        return dataclasses.replace(sample, final_size=asked)

    batch, _ = make_train_batch(with_transforms(sized), config_of(**SMALL), (32, 32), [0], 0)
    np.testing.assert_array_equal(batch.image_sizes, [given])  # of 16x24


def test_a_cropped_image_is_resized_by_its_own_shape():
    def cut(sample, record, rng):
        return crop(sample, (0, 4, 8, 12))

    batch, _ = make_train_batch(with_transforms(cut), config_of(**SMALL), (32, 32), [0], 0)
    np.testing.assert_array_equal(batch.image_sizes, [[8, 8]])
    # The box (4, 2, 12, 10) is cut at y = 8; the crowd (0, 0, 8, 8) loses four columns.
    np.testing.assert_array_equal(batch.boxes[0, :3], [[0, 2, 8, 8], [0, 0, 4, 8], [0, 0, 0, 0]])


def test_evaluation_hands_on_no_generator_and_no_record_where_it_pads():
    seen = []

    def transform(sample, record, rng):
        seen.append((record and record.name, rng, sample.image.shape))
        return add_extras(sample, record, rng)

    dataset = with_transforms(transform)
    (batch, scales), _ = make_eval_batch(dataset, config_of(**SMALL), (32, 32), [3, -1])
    # Where there is no image, a black one as large as the first of the data set.
    assert seen == [("p3", None, (16, 16, 3)), (None, None, (16, 24, 3))]
    np.testing.assert_array_equal(scales, [[0.5, 0.5], [1, 1]])
    np.testing.assert_array_equal(batch.extra["pose"], [[4, 1], [0, 0]])
    assert (batch.extra["mask"][0, :8, :8] == 4).all()
    assert batch.extra["mask"].sum() == 4 * 64
    np.testing.assert_array_equal(batch.extra["angle"], [[1] + [0] * 7, [0] * 8])
    padded, _ = make_eval_batch(dataset, config_of(**SMALL), (32, 32), [-1])
    assert {name: x.shape[1:] for name, x in padded.batch.extra.items()} == {
        name: x.shape[1:] for name, x in batch.extra.items()
    }


def test_evaluation_refuses_to_move_an_image():
    def move(sample, record, rng):
        return horizontal_flip(sample)

    with pytest.raises(ValueError, match=r"^transform move, image p0: it changed the boxes"):
        make_eval_batch(with_transforms(move), config_of(**SMALL), (32, 32), [0])


def test_an_image_that_cannot_be_read_has_extras_of_zeros():
    dataset = with_transforms(add_extras)
    skip = config_of(on_error="skip", **SMALL)
    batch, unread = make_train_batch(dataset, skip, (32, 32), [0, 2], 0)
    assert len(unread) == 1
    np.testing.assert_array_equal(batch.image_weights, [1, 0])
    np.testing.assert_array_equal(batch.extra["pose"], [[1, 1], [0, 0]])
    assert not batch.extra["mask"][1].any()


def test_a_transform_that_cannot_read_its_own_files_counts_as_the_image():
    def read_mask(sample, record, rng):
        if record is not None and record.name == "p1":
            raise DataError("p1.png: the mask is missing")
        return sample

    dataset = with_transforms(read_mask)
    with pytest.raises(DataError, match=r"^p1\.png: the mask is missing"):
        make_train_batch(dataset, config_of(**SMALL), (32, 32), [0, 1], 0)
    skip = config_of(on_error="skip", **SMALL)
    batch, unread = make_train_batch(dataset, skip, (32, 32), [0, 1], 0)
    assert unread == ("p1.png: the mask is missing",)
    np.testing.assert_array_equal(batch.image_weights, [1, 0])


def test_given_proposals_go_through_transforms():
    def cut(sample, record, rng):
        return crop(sample, (2, 4, 10, 12))

    dataset, config = with_transforms(cut), with_counts(config_of(**SMALL), 4, 4)
    given = given_proposals(dataset)
    batch, _ = make_train_batch(dataset, config, (32, 32), [0], 0, given)
    # Of (4, 2, 12, 10) and the whole image all of the window is left, of (1, 1, 2, 2) nothing.
    np.testing.assert_array_equal(batch.proposals.boxes[0, :2], [[0, 0, 8, 8], [0, 0, 8, 8]])
    np.testing.assert_array_equal(batch.proposals.valid, [[True, True, False, False]])


def test_boxes_that_a_transform_gives_to_no_image_are_left_out():
    def paste(sample, record, rng):
        boxes, labels = np.tile([[0, 0, 2, 2]], (9, 1)), np.ones(9, int)
        pasted = dataclasses.replace(sample, boxes=boxes, labels=labels, ignore=labels < 1)
        return add_extras(pasted, record, rng)

    (batch, _), _ = make_eval_batch(with_transforms(paste), config_of(**SMALL), (32, 32), [-1])
    assert not (batch.box_valid | batch.box_ignore).any()
    np.testing.assert_array_equal(batch.extra["angle"], np.zeros((1, 8)))  # not nine


def test_the_rows_of_a_process_are_those_of_the_whole_batch():
    dataset = shapes_dataset(6, 2)
    config = config_of(horizontal_flip=0.5)
    bucket = training_buckets(dataset, config).shapes[0]
    indices = [4, 1, 5, 0]
    whole, _ = make_train_batch(dataset, config, bucket, indices, 3)
    for rows in ([0, 1], [2, 3], [1, 2]):
        part, _ = make_train_batch(dataset, config, bucket, indices, 3, rows=rows)
        for field, of_all in zip(part[:9], whole[:9], strict=True):
            np.testing.assert_array_equal(field, np.asarray(of_all)[rows])

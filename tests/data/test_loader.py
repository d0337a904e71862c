import dataclasses

import numpy as np
import pytest

from jaxrcnn.config import Config, DataConfig, EvalConfig, ModelConfig, ProposalsConfig, TrainConfig
from jaxrcnn.data import loader
from jaxrcnn.data.errors import DataError, fault
from jaxrcnn.data.loader import (
    eval_batches,
    make_eval_batch,
    make_train_batch,
    plan_batches,
    train_batches,
)
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.types import Proposals

STEPS = 6


def config_of(seed=5, steps=STEPS, batch_size=3, eval_batch_size=4, **data):
    sides = {"short_side": 64, "long_side": 96, "train_short_sides": (48, 64)}
    return Config(
        seed=seed,
        data=DataConfig(**{**sides, **data}),
        train=TrainConfig(steps=steps, batch_size=batch_size),
        eval=EvalConfig(batch_size=eval_batch_size),
    )


def read_constant(record):
    """An image whose pixels tell its id, but image 2 is broken."""
    if record.image_id == 2:
        raise fault(record.name, "image 2", "is broken")
    return np.full((record.height, record.width, 3), 10 * record.image_id, np.uint8)


def small_dataset():
    """Five images, the third (id 2) unreadable and the last portrait."""
    sizes = [(16, 24), (8, 16), (16, 24), (16, 16), (24, 16)]
    boxes = [[[4, 2, 12, 10], [0, 0, 8, 8]], [], [[1, 1, 4, 4]], [[0, 0, 16, 16]], [[2, 4, 6, 8]]]
    records = tuple(
        make_record(
            image_id,
            f"p{image_id}",
            "",
            size,
            np.array(rows, np.float32),
            range(1, len(rows) + 1),
            range(len(rows)),
            crowd=[place == 1 for place in range(len(rows))],
        )
        for image_id, (size, rows) in enumerate(zip(sizes, boxes, strict=True))
    )
    return Dataset("small", records, ("a", "b"), (1, 2), read_constant)


def assert_same(batch, other):
    for name in batch._fields:
        one, two = getattr(batch, name), getattr(other, name)
        if isinstance(one, Proposals):
            assert_same(one, two)
        else:
            np.testing.assert_array_equal(one, two)


def simulated_plan(seed, steps, size, buckets):
    """The plan as its docstring tells it, one record after the other."""
    waiting, rows, epoch = {}, [], 0
    while len(rows) < steps:
        order = np.random.default_rng((seed, loader.ORDER_STREAM, epoch)).permutation(len(buckets))
        for index in order:
            row = waiting.setdefault(buckets[index], [])
            row.append(index)
            if len(row) == size:
                rows.append(waiting.pop(buckets[index]))
        epoch += 1
    return np.array(rows[:steps])


@pytest.mark.parametrize(("images", "size"), [(17, 4), (3, 8), (1, 2), (12, 1), (40, 5)])
def test_plan_is_that_of_a_queue_for_each_bucket(images, size):
    buckets = (np.arange(images) % 5 == 0).astype(np.int32)
    plan = plan_batches(3, 23, size, buckets)
    assert plan.shape == (23, size)
    assert plan.dtype == np.int32
    np.testing.assert_array_equal(plan, simulated_plan(3, 23, size, buckets))


def test_plan_of_more_steps_begins_with_the_plan_of_fewer():
    buckets = np.array([0, 1, 0, 0, 1, 2, 0])
    plan = plan_batches(3, 50, 2, buckets)
    for steps in (0, 1, 2, 7, 49):
        np.testing.assert_array_equal(plan_batches(3, steps, 2, buckets), plan[:steps])
    assert (plan_batches(4, 50, 2, buckets) != plan).any()


def test_plan_drops_no_image_and_never_mixes_buckets():
    buckets = np.array([0] * 7 + [1] * 3)
    plan = plan_batches(0, 50, 4, buckets)  # 200 images, 20 epochs
    assert (buckets[plan] == buckets[plan[:, :1]]).all()
    counts = np.bincount(plan.ravel(), minlength=10)
    assert counts.min() >= 18
    assert counts.max() <= 21


def test_plan_of_no_images_is_refused():
    with pytest.raises(DataError, match="holds no images"):
        plan_batches(0, 1, 1, np.zeros(0, np.int32))


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


def given_proposals(dataset):
    """Three for the first image and one for the third, which is unreadable."""
    boxes = [[4, 2, 12, 10], [0, 0, 24, 16], [1, 1, 2, 2]]
    return join_proposals(
        dataset,
        {
            0: ImageProposals(np.array(boxes, np.float32), np.array([3, 2, -1], np.float32)),
            2: ImageProposals(np.array([[1, 1, 4, 4]], np.float32), np.ones(1, np.float32)),
        },
    )


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
    streamed = eval_batches(dataset, config_of(on_error="skip"), given_proposals(dataset))
    counts = {}
    for batch, _ in streamed:
        numbers = batch.proposals.valid.sum(1).tolist()
        counts.update(zip(batch.image_index.tolist(), numbers, strict=True))
    assert counts == {0: 3, 1: 0, 2: 0, 3: 0, 4: 0, -1: 0}


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
    nine = dataclasses.replace(skip, train=TrainConfig(batch_size=3, steps=9))
    stream = train_batches(dataset, nine)
    assert len(list(stream)) == 9
    assert tuple(stream.unread) == unread  # several times in the batches, once in the list


def test_an_unreadable_image_stops_the_stream():
    with pytest.raises(DataError, match=r"^p2: image 2: is broken"):
        list(train_batches(small_dataset(), config_of()))


def test_training_batches_do_not_depend_on_restarts_or_the_length_of_the_run():
    dataset = shapes_dataset(10, seed=0)
    config = config_of()
    batches = list(train_batches(dataset, config))
    assert len(batches) == STEPS
    for first in (0, 1, 4, STEPS):
        again = list(train_batches(dataset, config, first_step=first))
        assert len(again) == STEPS - first
        for batch, other in zip(batches[first:], again, strict=True):
            assert_same(batch, other)
    longer = train_batches(dataset, config_of(steps=50))
    assert_same(batches[0], next(longer))
    longer.close()
    other_seed = next(iter(train_batches(dataset, config_of(seed=6))))
    assert other_seed.image_index.tolist() != batches[0].image_index.tolist()


def test_training_buckets_are_those_of_the_largest_short_side():
    dataset = small_dataset()  # 16x24 becomes 64x96, and 24x16 becomes 96x64
    for sides in ((32, 64), (64, 32)):
        buckets = loader.training_buckets(dataset, config_of(train_short_sides=sides).data)
        assert buckets.shapes == ((64, 96), (96, 64))
    buckets = loader.training_buckets(dataset, config_of(train_short_sides=()).data)
    assert buckets.shapes == ((64, 96), (96, 64))
    np.testing.assert_array_equal(buckets.of_record, [0, 0, 0, 0, 1])


def test_training_batches_hold_what_the_plan_says():
    dataset = shapes_dataset(10, seed=0)
    config = config_of()
    buckets = loader.training_buckets(dataset, config.data)
    plan = plan_batches(config.seed, STEPS, 3, buckets.of_record)
    for row, batch in zip(plan, train_batches(dataset, config), strict=True):
        np.testing.assert_array_equal(batch.image_index, row)
        assert batch.images.shape[1:3] == buckets.shapes[buckets.of_record[row[0]]]
        assert (batch.image_sizes <= batch.images.shape[1:3]).all()
        for index, boxes, valid in zip(row, batch.boxes, batch.box_valid, strict=True):
            assert valid.sum() == len(dataset.records[index].boxes)
            assert (boxes[valid][:, 2:] > boxes[valid][:, :2]).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_training_batches_do_not_depend_on_the_number_of_workers(workers):
    dataset = shapes_dataset(10, seed=0)
    given = None
    if workers == 2:  # with given proposals: each image's own ground truth
        truth = {
            index: ImageProposals(record.boxes, np.zeros(len(record.boxes), np.float32))
            for index, record in enumerate(dataset.records)
        }
        given = join_proposals(dataset, truth)
    expected = list(train_batches(dataset, config_of(), 1, given))
    stream = train_batches(dataset, config_of(workers=workers), 1, given)
    batches = list(stream)
    stream.close()
    assert len(batches) == STEPS - 1
    for batch, other in zip(batches, expected, strict=True):
        assert_same(batch, other)
        assert type(batch.images) is np.ndarray
        assert (batch.proposals is None) == (given is None)
    for batch in expected if given else ():
        number = batch.boxes.shape[1]
        np.testing.assert_array_equal(batch.proposals.boxes[:, :number], batch.boxes)
        np.testing.assert_array_equal(batch.proposals.valid[:, :number], batch.box_valid)


def test_errors_of_a_worker_arrive_as_they_are(tmp_path):
    record = make_record(4, "p", str(tmp_path / "gone.jpg"), (8, 8), [[0, 0, 2, 2]], [1], [1])
    dataset = Dataset("broken", (record,), ("a",), (1,))
    stream = train_batches(dataset, config_of(workers=1))
    with pytest.raises(DataError, match=r"gone\.jpg: image 4: the image cannot be decoded"):
        next(stream)
    stream.close()
    skipping = train_batches(dataset, config_of(workers=1, on_error="skip"))
    np.testing.assert_array_equal(next(skipping).image_weights, [0, 0, 0])
    assert len(skipping.unread) == 1
    skipping.close()


def test_evaluation_sees_every_image_once_and_marks_its_padding():
    dataset = shapes_dataset(11, seed=0)
    config = config_of()
    seen = []
    for batch, scales in eval_batches(dataset, config):
        assert batch.images.shape[0] == 4
        real = batch.image_weights > 0
        np.testing.assert_array_equal(batch.image_index[~real], -1)
        np.testing.assert_array_equal(batch.images[~real], 0)
        assert not batch.box_valid[~real].any()
        np.testing.assert_array_equal(scales[~real], 1)
        seen += batch.image_index[real].tolist()
        for place in np.flatnonzero(real):
            record = dataset.records[batch.image_index[place]]
            assert batch.image_sizes[place].min() == 64
            y_scale, x_scale = scales[place]
            number = len(record.boxes)
            original = batch.boxes[place, :number] / [x_scale, y_scale, x_scale, y_scale]
            np.testing.assert_allclose(original, record.boxes, rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(
                batch.image_sizes[place] / scales[place], [record.height, record.width], rtol=1e-6
            )
    assert sorted(seen) == list(range(11))
    portrait = dataset.sizes[:, 0] > dataset.sizes[:, 1]
    assert seen == [*np.flatnonzero(~portrait), *np.flatnonzero(portrait)]


def test_evaluation_names_unreadable_images():
    stream = eval_batches(small_dataset(), config_of(on_error="skip"))
    weights = {}
    for batch, _ in stream:
        weights.update(zip(batch.image_index.tolist(), batch.image_weights.tolist(), strict=True))
    assert weights == {0: 1, 1: 1, 2: 0, 3: 1, 4: 1, -1: 0}
    assert len(stream.unread) == 1

import dataclasses

import numpy as np
import pytest

from jaxrcnn.config import TrainConfig
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.loader import (
    empty_eval_batches,
    empty_train_batches,
    eval_batches,
    train_batches,
)
from jaxrcnn.data.planning import plan_batches, training_buckets
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.synthetic import shapes_dataset
from tests.data.own_transforms import Beside, Darken, add_extras
from tests.data.small import STEPS, assert_same, config_of, given_proposals, small_dataset


def test_a_stream_names_an_unreadable_image_once():
    nine = dataclasses.replace(
        config_of(on_error="skip", max_skipped_share=1.0), train=TrainConfig(batch_size=3, steps=9)
    )
    stream = train_batches(small_dataset(), nine)
    batches = list(stream)
    assert len(batches) == 9
    assert sum((batch.image_index == 2).sum() for batch in batches) > 1
    (line,) = stream.unread
    assert line.startswith("p2: image 2: is broken")


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


def test_training_batches_hold_what_the_plan_says():
    dataset = shapes_dataset(10, seed=0)
    config = config_of()
    buckets = training_buckets(dataset, config)
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
    with pytest.raises(DataError, match=r"gone\.jpg: image p: the image cannot be decoded"):
        next(stream)
    stream.close()
    skipping = train_batches(dataset, config_of(workers=1, on_error="skip", max_skipped_share=1.0))
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


def test_evaluation_hands_given_proposals_to_their_images():
    dataset = small_dataset()
    stream = eval_batches(dataset, config_of(on_error="skip"), given_proposals(dataset))
    counts = {}
    for batch, _ in stream:
        numbers = batch.proposals.valid.sum(1).tolist()
        counts.update(zip(batch.image_index.tolist(), numbers, strict=True))
    assert counts == {0: 3, 1: 0, 2: 0, 3: 0, 4: 0, -1: 0}


def test_an_empty_batch_has_each_shape_of_an_evaluation():
    config = config_of()
    batches = empty_eval_batches(small_dataset(), config)
    # 16x16 becomes 64x64, 16x24 64x96, and 24x16 96x64.
    shapes = [(4, 64, 64, 3), (4, 64, 96, 3), (4, 96, 64, 3)]
    assert [batch.images.shape for batch in batches] == shapes
    for batch in batches:
        np.testing.assert_array_equal(batch.image_weights, 0)
        np.testing.assert_array_equal(batch.image_index, -1)


def test_transforms_draw_the_same_in_threads_and_processes_and_after_a_restart():
    plain = shapes_dataset(10, seed=0)
    transforms = (Beside(plain, range(10)), Darken(200), add_extras)
    dataset = dataclasses.replace(plain, transforms=transforms, box_room=12)
    expected = list(train_batches(dataset, config_of()))
    restarted = list(train_batches(dataset, config_of(), first_step=2))
    stream = train_batches(dataset, config_of(workers=2), first_step=2)
    batches = list(stream)
    stream.close()
    assert len(batches) == len(restarted) == STEPS - 2
    for batch, again, other in zip(batches, restarted, expected[2:], strict=True):
        assert_same(batch, other)
        assert_same(again, other)
        np.testing.assert_array_equal(batch.extra["mask"].max((1, 2)), 1 + 1 + batch.image_index)
    brightest = {int(image.max()) for batch in expected for image in batch.images}
    assert len(brightest) > 10  # each image draws for itself


def test_an_empty_training_batch_has_each_shape_of_a_training():
    dataset = dataclasses.replace(small_dataset(), transforms=(add_extras,))
    batches = empty_train_batches(dataset, config_of())
    # 16x24 becomes 64x96, and 24x16 96x64.
    assert [batch.images.shape for batch in batches] == [(1, 64, 96, 3), (1, 96, 64, 3)]
    assert [batch.extra["mask"].shape for batch in batches] == [(1, 64, 96), (1, 96, 64)]
    for batch in batches:
        assert batch.extra["pose"].shape == (1, 2)
        assert batch.extra["angle"].shape == batch.labels.shape == (1, 8)
        assert not batch.extra["mask"].any()
        np.testing.assert_array_equal(batch.image_index, -1)
        np.testing.assert_array_equal(batch.image_weights, 0)
    assert empty_train_batches(small_dataset(), config_of())[0].extra is None

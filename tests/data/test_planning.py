import dataclasses

import numpy as np
import pytest

from jaxrcnn.config import NeckConfig
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.planning import (
    ORDER_STREAM,
    eval_buckets,
    images_per_epoch,
    note_on_canvases,
    plan_batches,
    plan_evaluation,
    plan_training,
    training_buckets,
)
from tests.data.small import STEPS, config_of, small_dataset


def simulated_plan(seed, steps, size, buckets):
    """The plan as its docstring tells it, one record after the other."""
    waiting, rows, epoch = {}, [], 0
    while len(rows) < steps:
        order = np.random.default_rng((seed, ORDER_STREAM, epoch)).permutation(len(buckets))
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


def test_a_plan_without_repeats_stays_as_it_was():
    """Recorded before there were repeat factors."""
    buckets = np.array([0, 1, 0, 0, 1, 2, 0, 0])
    expected = [
        *([6, 3, 0], [2, 7, 0], [1, 4, 1], [6, 7, 3], [2, 3, 2]),
        *([5, 5, 5], [6, 7, 0], [4, 1, 4], [6, 3, 0]),
    ]
    assert plan_batches(7, 9, 3, buckets).tolist() == expected


FACTORS = np.array([1, 1, 2.25, 1, 1.5, 3, 1])


def test_images_come_as_often_as_their_factors_say():
    buckets = np.zeros(7, np.int64)
    plan = plan_batches(0, 4000, 5, buckets, FACTORS)
    counts = np.bincount(plan.ravel())
    np.testing.assert_allclose(counts / counts[0], FACTORS, rtol=0.02)
    first_epoch = plan.ravel()[: int(FACTORS.sum()) - 1]  # an epoch has 9 to 12 images
    whole = np.bincount(first_epoch, minlength=7) <= np.ceil(FACTORS)
    assert whole.all()


def test_whole_factors_are_met_in_every_epoch():
    factors = np.array([1.0, 3.0, 2.0])
    plan = plan_batches(1, 10, 6, np.zeros(3, np.int64), factors)
    for epoch in plan:  # a batch is an epoch
        assert np.bincount(epoch).tolist() == [1, 3, 2]
    assert len({tuple(epoch) for epoch in plan.tolist()}) > 1


def test_a_plan_with_repeats_of_more_steps_begins_with_that_of_fewer():
    buckets = np.array([0, 1, 0, 0, 1, 2, 0])
    plan = plan_batches(3, 50, 2, buckets, FACTORS)
    for steps in (0, 1, 2, 7, 49):
        np.testing.assert_array_equal(plan_batches(3, steps, 2, buckets, FACTORS), plan[:steps])
    assert (buckets[plan] == buckets[plan[:, :1]]).all()
    assert (plan_batches(4, 50, 2, buckets, FACTORS) != plan).any()
    ones = plan_batches(3, 50, 2, buckets, np.ones(7))
    np.testing.assert_array_equal(ones, plan_batches(3, 50, 2, buckets))


def test_the_threshold_reaches_the_plan():
    dataset = small_dataset()  # label 1 on four of five images, label 2 on the first
    config = config_of(repeat_threshold=0.8, steps=40)
    assert images_per_epoch(dataset, config_of()) == 5
    assert images_per_epoch(dataset, config) == 6  # sqrt(.8 / .2) = 2 times the first
    counts = np.bincount(plan_training(dataset, config).rows.ravel())
    assert counts[0] >= 2 * counts[2] - 3


def test_plan_of_no_images_is_refused():
    with pytest.raises(DataError, match="contains no images"):
        plan_batches(0, 1, 1, np.zeros(0, np.int32))


def test_training_buckets_are_those_of_the_largest_short_side():
    dataset = small_dataset()  # 16x24 becomes 64x96, and 24x16 becomes 96x64
    for sides in ((32, 64), (64, 32)):
        buckets = training_buckets(dataset, config_of(train_short_sides=sides))
        assert buckets.shapes == ((64, 96), (96, 64))
    buckets = training_buckets(dataset, config_of(train_short_sides=()))
    assert buckets.shapes == ((64, 96), (96, 64))
    np.testing.assert_array_equal(buckets.of_record, [0, 0, 0, 0, 1])


def test_a_training_plan_has_a_row_and_a_shape_for_each_step():
    plan = plan_training(small_dataset(), config_of())
    assert plan.rows.shape == (STEPS, 3)
    np.testing.assert_array_equal(
        plan.rows, plan_batches(5, STEPS, 3, np.array([0, 0, 0, 0, 1], np.int32))
    )
    for step, row in enumerate(plan.rows.tolist()):
        shape = (96, 64) if 4 in row else (64, 96)
        assert plan.of(step) == (shape, row)


@pytest.mark.parametrize(("neck", "shape"), [("fpn", (64, 96)), ("c4", (48, 96)), ("c5", (48, 96))])
def test_an_exact_canvas_is_a_multiple_of_what_the_neck_needs(neck, shape):
    config = config_of(canvas="exact")
    model = dataclasses.replace(config.model, neck=NeckConfig(neck))
    buckets = eval_buckets(small_dataset(), dataclasses.replace(config, model=model))
    assert buckets.shapes[buckets.of_record[1]] == shape  # 8x16 becomes 48x96


def test_many_exact_shapes_are_noted():
    dataset = small_dataset()  # resized 64x96, 48x96, 64x64 and 96x64
    config = config_of(canvas="exact")
    assert note_on_canvases(dataset, config) == ""
    model = dataclasses.replace(config.model, neck=NeckConfig("c4"))
    config = dataclasses.replace(config, model=model)
    assert note_on_canvases(dataset, config) == (
        "data.canvas=exact: 4 image shapes, each compiled once; with --config.data.canvas ladder "
        "there are 3, but scores near the padding may differ"
    )
    assert note_on_canvases(dataset, config_of()) == ""


def test_an_evaluation_plan_has_every_image_once():
    plan = plan_evaluation(small_dataset(), config_of(eval_batch_size=2))
    assert plan.rows.tolist() == [[3, -1], [0, 1], [2, -1], [4, -1]]
    assert [plan.of(i)[0] for i in range(4)] == [(64, 64), (64, 96), (64, 96), (96, 64)]
    nothing = dataclasses.replace(small_dataset(), records=())
    assert plan_evaluation(nothing, config_of()).rows.shape == (0, 4)

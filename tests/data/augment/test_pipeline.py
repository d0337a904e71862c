import dataclasses

import numpy as np
import pytest

from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.augment.names import parse
from jaxrcnn.data.augment.pipeline import Scene, augment, room_for
from jaxrcnn.data.batches import make_eval_batch, make_train_batch
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.loader import empty_train_batches, train_batches
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.synthetic import shapes_dataset
from tests.data.augment.painted import painted_dataset
from tests.data.own_transforms import add_extras
from tests.data.small import assert_same, config_of, given_proposals, sample_of, small_dataset

ALL = (
    *("zoom_out()", "rotate90()", "large_scale_jitter(low=0.5)", "random_crop()", "iou_crop()"),
    *("photometric()", "mosaic()", "copy_paste()", "cutout()"),
)
PAIR = ("mosaic(p=1.0)",)


def test_augmentations_run_in_order_and_others_have_passed_those_before():
    first, other = sample_of((8, 8), [[0, 0, 4, 4]]), sample_of((8, 8), [[0, 0, 2, 2]])
    read = []

    def read_other(rng):
        read.append(rng)
        return other, "another record"

    scene = Scene((8, 16), 0.1, 50, lambda sample: sample.final_size or (8, 8), read_other)
    rng = np.random.default_rng(0)
    calls = parse(("rotate90(p=1.0)", "mosaic(p=1.0, low=1, high=1)", "cutout(p=1.0, fill=255)"))
    made = augment(first, "record", rng, calls, scene)
    assert read == [rng] * 3
    assert made.image.shape == (8, 16, 3)
    assert (made.image == 255).any()
    # No turn leaves the box in the upper left corner, and none of the three of another image.
    alone = augment(other, "record", np.random.default_rng(0), calls[:1], scene)
    assert alone.boxes[0].tolist() != [0, 0, 2, 2]
    assert augment(first, "record", rng, (), scene) is first


def counted_dataset(counts):
    records = [
        make_record(i, f"p{i}", "", (8, 8), [[0, 0, 4, 4]] * count, [1] * count)
        for i, count in enumerate(counts)
    ]
    return Dataset("counted", records, ("a",))


def test_a_batch_has_room_for_the_boxes_of_nearly_all_mosaics():
    alike = counted_dataset([5] * 4)
    numbers = {(): 5, ("photometric()",): 5, ("mosaic()",): 20, ("copy_paste()",): 10}
    numbers[("copy_paste()", "mosaic()")] = 40
    for entries, number in numbers.items():
        assert room_for(alike, parse(entries)) == number
    # One image of a thousand has 100 boxes and the others 1: of four, 4 in 1000 have it, two of
    # them 6 in a million.
    assert room_for(counted_dataset([100] + [1] * 999), parse(PAIR)) == 103
    # One of 100,000 as well: 4 of 100,000 mosaics have it, but it needs room when it is alone.
    assert room_for(counted_dataset([9] + [1] * 9999), parse(PAIR)) == 9
    assert room_for(counted_dataset([]), parse(PAIR)) == 0


def test_the_room_is_that_of_the_batch_and_evaluation_has_its_own():
    dataset = counted_dataset([5] * 4)
    black = dataclasses.replace(
        dataset, reader=lambda record: np.zeros((record.height, record.width, 3), np.uint8)
    )
    config = config_of(augment=PAIR, horizontal_flip=0.0)
    batch, _ = make_train_batch(black, config, (64, 64), [0, 1], 0)
    assert batch.boxes.shape == (2, 24, 4)
    assert ((batch.box_valid | batch.box_ignore).sum(axis=1) > 8).all()
    (evaluated, _), _ = make_eval_batch(black, config, (64, 64), [0])
    assert evaluated.boxes.shape == (1, 8, 4)
    # With less room than four images need, each stays alone.
    few = dataclasses.replace(black, box_room=16)
    alone, _ = make_train_batch(few, config, (64, 64), [0, 1], 0)
    assert alone.boxes.shape == (2, 16, 4)
    np.testing.assert_array_equal(alone.box_valid.sum(axis=1), [5, 5])


def test_another_image_that_cannot_be_read_does_not_lose_the_first():
    dataset = small_dataset()
    config = config_of(augment=PAIR, train_short_sides=(), short_side=8, long_side=12)
    skipping = replace_fields(config, {"data.on_error": "skip"})
    lost = []
    for step in range(8):
        batch, unread = make_train_batch(dataset, skipping, (32, 32), [0, 1], step)
        np.testing.assert_array_equal(batch.image_weights, [1, 1])
        alone = (batch.image_sizes != 32).any(axis=1)
        assert alone.sum() == len(unread)
        assert all("is broken" in line for line in unread)
        lost.append(len(unread))
        if unread:
            with pytest.raises(DataError, match="is broken"):
                make_train_batch(dataset, config, (32, 32), [0, 1], step)
    assert 0 in lost
    assert max(lost)


def test_all_augmentations_draw_the_same_in_threads_and_processes_and_after_a_restart():
    dataset = painted_dataset(8)
    fields = {"augment": ALL, "horizontal_flip": 0.5, "vertical_flip": 0.5}
    expected = list(train_batches(dataset, config_of(**fields)))
    restarted = list(train_batches(dataset, config_of(**fields), first_step=3))
    stream = train_batches(dataset, config_of(workers=2, **fields), first_step=3)
    batches = list(stream)
    stream.close()
    assert len(batches) == len(restarted) == len(expected) - 3 > 0
    for batch, again, other in zip(batches, restarted, expected[3:], strict=True):
        assert_same(batch, other)
        assert_same(again, other)
    assert not np.array_equal(expected[0].images[0], expected[1].images[0])
    other_seed = next(iter(train_batches(dataset, config_of(seed=6, **fields))))
    assert other_seed.images.shape != expected[0].images.shape or not np.array_equal(
        other_seed.images, expected[0].images
    )


def test_an_image_has_the_draws_of_its_place_alone():
    dataset, config = painted_dataset(8), config_of(augment=ALL)
    canvas = training_buckets(dataset, config).shapes[0]
    whole, _ = make_train_batch(dataset, config, canvas, [0, 1, 2], 4)
    part, _ = make_train_batch(dataset, config, canvas, [0, 1, 2], 4, rows=[1])
    np.testing.assert_array_equal(part.images[0], whole.images[1])
    np.testing.assert_array_equal(part.boxes[0], whole.boxes[1])


def test_evaluation_and_the_empty_batch_do_without():
    dataset = dataclasses.replace(small_dataset(), transforms=(add_extras,))
    plain, augmented = config_of(on_error="skip"), config_of(on_error="skip", augment=ALL)
    one, _ = make_eval_batch(dataset, plain, (64, 96), [0, 1, -1])
    other, _ = make_eval_batch(dataset, augmented, (64, 96), [0, 1, -1])
    assert_same(one.batch, other.batch)
    for empty in empty_train_batches(dataset, augmented):
        np.testing.assert_array_equal(empty.image_weights, 0)
        assert not empty.images.any()
        assert empty.extra["angle"].shape == empty.labels.shape


def test_given_proposals_travel_but_not_into_a_mosaic():
    dataset = small_dataset()
    given = given_proposals(dataset)
    fields = {"train_short_sides": (), "short_side": 16, "long_side": 24, "horizontal_flip": 0.0}
    moving = config_of(augment=("rotate90(p=1.0)", "zoom_out(p=1.0)"), **fields)
    batch, _ = make_train_batch(dataset, moving, (32, 32), [0], 0, given)
    # The first proposal is the first box.
    np.testing.assert_allclose(batch.proposals.boxes[0, 0], batch.boxes[0, 0], rtol=1e-6)
    assert batch.proposals.valid.sum() == 3
    mosaics = replace_fields(moving, {"data.augment": PAIR, "data.on_error": "skip"})
    with pytest.raises(ValueError, match=r"^mosaic and copy_paste do not work with given"):
        [make_train_batch(dataset, mosaics, (32, 32), [0], step, given) for step in range(20)]


def test_the_size_after_a_crop_is_that_of_the_crop_but_jitter_says_its_own():
    dataset = shapes_dataset(4, seed=0)
    fields = {"train_short_sides": (), "horizontal_flip": 0.0}
    cropped = config_of(augment=("random_crop(p=1.0)",), **fields)
    canvas = training_buckets(dataset, cropped).shapes[0]
    sizes = make_train_batch(dataset, cropped, canvas, [0, 1, 2, 3], 0)[0].image_sizes
    assert (sizes == canvas).any(axis=1).all()
    jittered = config_of(augment=("large_scale_jitter(low=0.2, high=0.4)",), **fields)
    sizes = make_train_batch(dataset, jittered, canvas, [0, 1, 2, 3], 0)[0].image_sizes
    assert (sizes < 0.4 * np.array(canvas) + 1).all()

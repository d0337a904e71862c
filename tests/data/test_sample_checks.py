import dataclasses
import re

import numpy as np
import pytest

from jaxrcnn.data.sample import ImageProposals
from jaxrcnn.data.sample_checks import run_transforms
from tests.data.small import sample_of, small_dataset

BOXES = [[4, 2, 12, 10], [0, 0, 8, 8]]  # those of the first image
PROPOSALS = ImageProposals(np.ones((1, 4), np.float32), np.ones(1, np.float32))


def run(transform, *others, training=True, record=True, **fields):
    """The first image of the small data set through transforms."""
    dataset = dataclasses.replace(small_dataset(), transforms=(transform, *others))
    sample = dataclasses.replace(sample_of((16, 24), BOXES), **fields)
    rng = np.random.default_rng(0) if training else None
    return run_transforms(dataset, sample, dataset.records[0] if record else None, rng)


def replacing(**fields):
    def change(sample, record, rng):
        return dataclasses.replace(sample, **fields)

    return change


def test_transforms_run_in_order_with_the_record_and_one_generator():
    seen = []

    def first(sample, record, rng):
        seen.append((record.name, rng.random()))
        return dataclasses.replace(sample, extra={"a": np.ones(2)})

    def second(sample, record, rng):
        seen.append((sorted(sample.extra), rng.random()))
        return sample

    assert sorted(run(first, second).extra) == ["a"]
    draws = np.random.default_rng(0).random(2)
    assert seen == [("p0", draws[0]), (["a"], draws[1])]


class Nothing:
    def __call__(self, sample, record, rng):
        return None


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (Nothing(), "transform Nothing, image p0: it returned NoneType, expected a Sample"),
        (replacing(image=np.zeros((4, 4, 3), np.float32)), "image is float32 (4, 4, 3), expected"),
        (replacing(image=np.zeros((4, 4), np.uint8)), "image is uint8 (4, 4), expected uint8"),
        (replacing(image=np.zeros((0, 4, 3), np.uint8)), "image is uint8 (0, 4, 3), expected"),
        (replacing(boxes=BOXES), "boxes is list, expected float32 (g, 4)"),
        (replacing(boxes=np.zeros(4)), "boxes is float64 (4,), expected float32 (g, 4)"),
        (replacing(labels=np.ones(2)), "labels is float64 (2,), expected int32 (g,)"),
        (replacing(ignore=np.zeros(2, int)), "ignore is int64 (2,), expected bool (g,)"),
        (replacing(boxes=np.ones((3, 4))), "3 boxes, but labels has 2 rows; keep_boxes"),
        (replacing(ignore=np.zeros(1, bool)), "2 boxes, but ignore has 1 rows; keep_boxes"),
        (
            replacing(box_extra={"angle": np.zeros(3)}),
            "2 boxes, but box_extra['angle'] has 3 rows; keep_boxes",
        ),
        (replacing(box_extra={"angle": np.zeros(())}), "box_extra['angle'] has 0 rows"),
        (replacing(boxes=np.full((2, 4), np.nan)), "a box has a coordinate that is not finite"),
        (replacing(labels=np.array([1, 3])), "label 3, expected 1 to 2"),
        (replacing(labels=np.array([0, 1])), "label 0, expected 1 to 2"),
        (
            replacing(extra={"a": np.zeros(2)}, box_extra={"a": np.zeros(2)}),
            "'a' is in extra and in box_extra; the names have to differ",
        ),
        (replacing(extra={"a": [1, 2]}), "extra 'a' is list, expected an array of numbers"),
        (replacing(extra={"a": np.array(["x"])}), "extra 'a' is str32, expected an array of"),
        (replacing(final_size=(0, 4)), "final_size is (0, 4), expected (height, width) in whole"),
        (replacing(final_size=(4.5, 4)), "final_size is (4.5, 4), expected (height, width)"),
        (replacing(final_size=4), "final_size is 4, expected (height, width) in whole pixels"),
        (replacing(proposals=PROPOSALS), "it added proposals, but none are given"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said_in_one_line(transform, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        run(transform)
    assert str(error.value).startswith("transform ")
    assert "\n" not in str(error.value)


def test_a_map_has_to_change_with_its_image():
    said = "extra 'mask' was a map of the image and has shape (16, 24), but the image is now (8, 8)"
    extra = {"mask": np.zeros((16, 24))}
    smaller = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match=re.escape(said)):
        run(replacing(extra=extra), replacing(image=smaller))
    run(replacing(extra=extra), replacing(image=smaller, extra={}))  # it may be dropped


def test_given_proposals_have_to_stay():
    assert run(replacing(), proposals=PROPOSALS).proposals is PROPOSALS
    with pytest.raises(ValueError, match="it dropped the given proposals"):
        run(replacing(proposals=None), proposals=PROPOSALS)


def test_other_types_of_whole_numbers_and_floats_pass():
    fine = replacing(boxes=np.array(BOXES, np.float64), labels=np.array([2, 1], np.int64))
    assert run(fine).boxes.dtype == np.float64


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": np.zeros((24, 16, 3), np.uint8)}, "it changed the shape of the image in eval"),
        ({"boxes": np.array(BOXES, np.float32) + 1}, "it changed the boxes in evaluation"),
        (
            {
                "boxes": np.zeros((0, 4), np.float32),
                "labels": np.zeros(0, np.int32),
                "ignore": np.zeros(0, bool),
            },
            "it changed the boxes in evaluation",
        ),
        ({"final_size": (8, 12)}, "it changed the size that the image is resized to in evaluation"),
    ],
)
def test_in_evaluation_everything_stays_in_its_place(fields, said):
    with pytest.raises(ValueError, match=f"^transform change, image p0: {said}"):
        run(replacing(**fields), training=False)
    run(replacing(**fields))  # in training it may move
    run(replacing(**fields), training=False, record=False)  # and where there is no image


def test_boxes_that_are_changed_in_place_are_noticed_too():
    def shift(sample, record, rng):
        sample.boxes[:] += 1
        return sample

    with pytest.raises(ValueError, match="it changed the boxes in evaluation"):
        run(shift, training=False)


def test_what_is_wrong_without_an_image_is_said_to_be_so():
    with pytest.raises(ValueError, match=r"^transform Nothing, no image \(record None\): it ret"):
        run(Nothing(), record=False)

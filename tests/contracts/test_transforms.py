"""Our own crop keeps the contract, and a transform that breaks a promise is found out."""

import dataclasses

import numpy as np
import pytest

from jaxrcnn.data import crop, keep_boxes
from tests.contracts import check_transform


def left_part(sample, record, rng):
    """Keeps every promise; those below break one each."""
    if rng is None or record is None:
        return sample
    height, width = sample.image.shape[:2]
    return crop(sample, (0, 0, height, int(rng.integers(width // 2, width + 1))))


def with_extras(sample, record, rng):
    return dataclasses.replace(
        sample,
        extra={"mask": sample.image[..., 0], "light": np.array(sample.image.mean(), np.float32)},
        box_extra={"corner": sample.boxes[:, :2]},
    )


@pytest.mark.parametrize("transform", [left_part, with_extras])
def test_a_good_transform_passes(transform):
    check_transform(transform)


def the_image(sample, record, rng):
    return sample.image


def in_evaluation_too(sample, record, rng):
    return sample if record is None else crop(sample, (0, 0, 20, 20))


def leaves_labels(sample, record, rng):
    return sample if rng is None else dataclasses.replace(sample, boxes=sample.boxes[:0])


def leaves_boxes(sample, record, rng):
    if rng is None or record is None:
        return sample
    return dataclasses.replace(sample, image=sample.image[:20].copy())


def empties_boxes(sample, record, rng):
    return sample if rng is None else dataclasses.replace(sample, boxes=sample.boxes * 0)


def draws_by_itself(sample, record, rng):
    if rng is None:
        return sample
    return keep_boxes(sample, np.random.default_rng().random(len(sample.boxes)) < 0.5)


def for_images_alone(sample, record, rng):
    if record is None:
        return sample
    return dataclasses.replace(sample, extra={"name": np.array(int(record.name))})


def by_the_image(sample, record, rng):
    return dataclasses.replace(sample, extra={"row": sample.image[0, :, 0]})


def as_it_comes(sample, record, rng):
    kind = np.int32 if record is None else np.int64
    return dataclasses.replace(sample, extra={"number": np.zeros(2, kind)})


@pytest.mark.parametrize(
    ("transform", "promise"),
    [
        (the_image, "it returned ndarray, expected a Sample"),
        (in_evaluation_too, "changed the shape of the image in evaluation"),
        (leaves_labels, "0 boxes, but labels has 3 rows"),
        (leaves_boxes, "boxes lie inside"),
        (empties_boxes, "boxes have an area"),
        (draws_by_itself, "the same generator"),
        (for_images_alone, "every image has the same extra"),
        (by_the_image, "extra 'row' has one shape"),
        (as_it_comes, "extra 'number' has one dtype"),
        (lambda sample, record, rng: sample, "pickled"),
    ],
)
def test_a_broken_transform_is_found_out(transform, promise):
    with pytest.raises(AssertionError, match=promise):
        check_transform(transform)

import dataclasses
import pickle

import numpy as np
import pytest

from jaxrcnn.data.sample import Sample, empty_sample
from tests.data.small import sample_of


def test_a_map_has_the_sides_of_the_image():
    extra = {
        "mask": np.zeros((4, 5), bool),
        "depth": np.zeros((4, 5, 2)),
        "turned": np.zeros((5, 4)),
        "row": np.zeros(4),
        "number": np.zeros(()),
    }
    assert sample_of((4, 5), extra=extra).maps == {"mask", "depth"}


def test_samples_share_no_extras_and_can_be_pickled():
    one, other = sample_of((4, 5)), sample_of((4, 5))
    assert one.extra == one.box_extra == {}
    assert one.extra is not other.extra
    assert one.proposals is None
    again = pickle.loads(pickle.dumps(dataclasses.replace(one, extra={"a": np.ones(2)})))
    assert isinstance(again, Sample)
    np.testing.assert_array_equal(again.extra["a"], [1, 1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.image = other.image


def test_an_empty_sample_is_black_and_has_no_boxes():
    empty = empty_sample(4, 5)
    assert empty.image.shape == (4, 5, 3)
    assert empty.image.dtype == np.uint8
    assert not empty.image.any()
    assert [empty.boxes.shape, empty.labels.shape, empty.ignore.shape] == [(0, 4), (0,), (0,)]
    dtypes = [empty.boxes.dtype, empty.labels.dtype, empty.ignore.dtype]
    assert dtypes == [np.float32, np.int32, bool]

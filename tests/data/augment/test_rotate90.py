import dataclasses

import numpy as np
import pytest

from jaxrcnn.data.augment.rotate90 import Rotate90, turn
from jaxrcnn.data.sample import ImageProposals
from tests.data.small import sample_of

IMAGE = np.arange(6, dtype=np.uint8).reshape(2, 3)
TURNED = {
    1: ([[2, 5], [1, 4], [0, 3]], [0, 1, 1, 3], (7, 5)),
    2: ([[5, 4, 3], [2, 1, 0]], [1, 1, 3, 2], (5, 7)),
    3: ([[3, 0], [4, 1], [5, 2]], [1, 0, 2, 2], (7, 5)),
}


@pytest.mark.parametrize("times", TURNED)
def test_turns_by_hand(times):
    image, box, size = TURNED[times]
    boxes = np.array([[0, 0, 2, 1]], np.float32)
    sample = sample_of(
        np.stack([IMAGE] * 3, axis=2),
        boxes,
        extra={"map": IMAGE, "pose": np.arange(3)},
        proposals=ImageProposals(boxes, np.ones(1, np.float32)),
        final_size=(5, 7),
    )
    turned = turn(sample, times)
    np.testing.assert_array_equal(turned.image[..., 1], image)
    np.testing.assert_array_equal(turned.extra["map"], image)
    np.testing.assert_array_equal(turned.extra["pose"], [0, 1, 2])
    np.testing.assert_array_equal(turned.boxes, [box])
    np.testing.assert_array_equal(turned.proposals.boxes, [box])
    assert turned.final_size == size
    assert turned.boxes.dtype == np.float32


def test_all_four_directions_are_drawn_as_often():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 1
    rng, sample = np.random.default_rng(0), sample_of(image)
    places = [int(Rotate90()(sample, "record", rng).image[..., 0].argmax()) for _ in range(400)]
    assert all(70 < places.count(place) < 130 for place in range(4))
    assert Rotate90()(sample, "record", None) is Rotate90()(sample, None, rng) is sample
    plain = dataclasses.replace(sample, final_size=None)
    assert turn(plain, 1).final_size is None

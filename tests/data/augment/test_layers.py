import dataclasses

import numpy as np
import pytest

from jaxrcnn.data.augment.layers import Layer, merge
from jaxrcnn.data.sample import ImageProposals
from tests.data.small import sample_of


def layer_of(value, size, y, x, boxes):
    image = np.full((*size, 3), value, np.uint8)
    extra = {"mask": image[..., 0] > 10, "pose": np.array([value])}
    ids = np.full(len(boxes), value)
    return Layer(sample_of(image, boxes, extra=extra, box_extra={"id": ids}), y, x)


def test_later_layers_are_above_earlier_ones():
    layers = [
        layer_of(1, (2, 3), 0, 1, [[0, 0, 3, 2]]),
        layer_of(20, (2, 2), 1, 0, [[0, 0, 1, 1], [1, 1, 2, 2]]),
    ]
    merged = merge(layers, (3, 5), fill=9)
    np.testing.assert_array_equal(
        merged.image[..., 2], [[9, 1, 1, 1, 9], [20, 20, 1, 1, 9], [20, 20, 9, 9, 9]]
    )
    assert merged.image.dtype == np.uint8
    np.testing.assert_array_equal(merged.boxes, [[1, 0, 4, 2], [0, 1, 1, 2], [1, 2, 2, 3]])
    assert merged.boxes.dtype == np.float32
    np.testing.assert_array_equal(merged.labels, [1, 1, 2])
    np.testing.assert_array_equal(merged.box_extra["id"], [1, 20, 20])
    np.testing.assert_array_equal(
        merged.extra["mask"], [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    )
    assert merged.extra["mask"].dtype == bool
    np.testing.assert_array_equal(merged.extra["pose"], [1])
    assert merged.final_size == (3, 5)


def test_what_cannot_be_merged_is_one_line():
    one = layer_of(1, (2, 2), 0, 0, [])
    proposals = ImageProposals(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    given = one._replace(sample=dataclasses.replace(one.sample, proposals=proposals))
    with pytest.raises(ValueError, match=r"^mosaic and copy_paste do not work with given"):
        merge([one, given], (2, 2), 0)
    other = one._replace(sample=dataclasses.replace(one.sample, extra={}))
    with pytest.raises(ValueError, match=r"^mosaic and copy_paste need the same maps"):
        merge([one, other], (2, 2), 0)

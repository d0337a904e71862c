import numpy as np
import pytest

from jaxrcnn.interop.layouts import (
    BACKGROUND_LAST,
    BGR,
    CONV,
    LINEAR,
    SAME,
    flattened,
    sizes_first,
    then,
)


def numbered(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


def test_a_convolution_computes_the_same():
    theirs = numbered(5, 2, 3, 4)  # O, I, h, w
    ours = CONV.ours(theirs)
    assert ours.shape == (3, 4, 2, 5)
    assert ours[1, 3, 0, 4] == theirs[4, 0, 1, 3]


def test_windows_flattened_channels_first_meet_the_same_weights():
    side, channels = 3, 2
    window = numbered(side, side, channels)
    weights = numbered(4, channels * side * side)
    ours = then(flattened(side), LINEAR).ours(weights)
    by_torch = weights @ window.transpose(2, 0, 1).reshape(-1)
    np.testing.assert_array_equal(window.reshape(-1) @ ours, by_torch)


def test_the_background_comes_first():
    assert BACKGROUND_LAST.ours(np.array([10, 20, 30, -1])).tolist() == [-1, 10, 20, 30]


def test_red_comes_first():
    assert BGR.ours(np.array([[3, 2, 1]])).tolist() == [[1, 2, 3]]


def test_anchors_come_by_size_and_then_ratio():
    # Two sizes, three ratios: theirs is ratio 0 with both sizes, ratio 1 with both, ...
    theirs = np.array([f"{size}{ratio}" for ratio in "abc" for size in "12"])
    assert sizes_first(2, 3).ours(theirs).tolist() == ["1a", "1b", "1c", "2a", "2b", "2c"]
    deltas = np.repeat(theirs, 4)
    assert sizes_first(2, 3).ours(deltas)[:8].tolist() == ["1a"] * 4 + ["1b"] * 4


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (SAME, (5,)),
        (CONV, (5, 2, 3, 4)),
        (LINEAR, (5, 4)),
        (BGR, (5, 3, 2, 2)),
        (BACKGROUND_LAST, (4, 2)),
        (flattened(3), (4, 18)),
        (sizes_first(2, 3), (24, 5)),
        (then(sizes_first(2, 3), CONV), (6, 5, 1, 1)),
    ],
)
def test_there_and_back_is_the_same(layout, shape):
    x = numbered(*shape)
    back = layout.theirs(layout.ours(x))
    np.testing.assert_array_equal(back, x)

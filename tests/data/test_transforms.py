import numpy as np
import pytest

from jaxrcnn.data.transforms import (
    horizontal_flip,
    resize,
    resized_size,
    vertical_flip,
)
from tests.ops.test_resized_size import float64_sizes

BOX = np.array([[2.0, 1.0, 6.0, 4.0], [0.0, 0.0, 8.0, 6.0]], np.float32)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((480, 640), (240, 320)),  # the short side decides
        ((640, 480), (320, 240)),
        ((100, 400), (100, 400)),  # the long side decides
        ((240, 320), (240, 320)),
        ((120, 161), (240, 322)),  # a small image grows
        ((1, 4000), (1, 400)),  # never less than one pixel
    ],
)
@pytest.mark.parametrize("method", ["pillow", "torchvision"])
def test_the_smaller_of_two_scales_decides(size, resized, method):
    assert resized_size(size, 240, 400, method) == resized


@pytest.mark.parametrize(
    ("size", "limits", "method", "resized"),
    [
        ((480, 640), (800, 1333), "torchvision", (800, 1066)),  # 1066.7
        ((480, 640), (800, 1333), "pillow", (800, 1067)),
        ((150, 206), (160, 256), "torchvision", (160, 219)),  # 219.7
        # 256 / 163 is a little less in float64, and so is 163 times that than 256 in float32 alone.
        ((100, 163), (160, 256), "torchvision", (157, 256)),
        ((29, 145), (800, 4000), "torchvision", (800, 3999)),  # 145 * (800 / 29) is below 4000
        ((704, 1408), (800, 1333), "pillow", (666, 1333)),  # 666.5, a little less in two steps
        ((183, 275), (320, 640), "torchvision", (320, 480)),
    ],
)
def test_sizes_are_rounded_as_the_peers_round_them(size, limits, method, resized):
    assert resized_size(size, *limits, method) == resized


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pillow", "torchvision"])
def test_every_size_from_1_to_2000_is_that_of_float64(method):
    widths = np.arange(1, 2001)
    for height in range(1, 2001):
        sizes = [resized_size((height, width), 800, 1333, method) for width in range(1, 2001)]
        expected = float64_sizes(height, widths, 800, 1333, method)
        np.testing.assert_array_equal(sizes, expected, err_msg=str(height))


def test_resize_halves_a_image_by_the_mean_of_its_pixels():
    # Columns of constant colour: a triangle filter of two pixels' radius has the weights
    # 1/8, 3/8, 3/8, 1/8 over four neighbours.
    columns = np.array([0, 40, 80, 120, 160, 200, 240, 200], np.uint8)
    image = np.broadcast_to(columns[None, :, None], (6, 8, 3)).copy()
    resized, boxes = resize(image, BOX, (3, 4))
    assert resized.shape == (3, 4, 3)
    assert resized.dtype == np.uint8
    second = 40 * 1 / 8 + 80 * 3 / 8 + 120 * 3 / 8 + 160 * 1 / 8
    np.testing.assert_allclose(resized[:, 1, :], second, atol=1)
    np.testing.assert_array_equal(boxes, [[1, 0.5, 3, 2], [0, 0, 4, 3]])
    assert boxes.dtype == np.float32


def test_torchvision_weighs_the_nearest_pixels_and_does_not_round():
    columns = np.array([0, 40, 80, 120, 160, 200, 240, 201], np.uint8)
    image = np.broadcast_to(columns[None, :, None], (6, 8, 3)).copy()
    halved, boxes = resize(image, BOX, (3, 4), "torchvision")
    assert halved.dtype == np.float32
    np.testing.assert_allclose(halved[1, :, 0], [20, 100, 180, 220.5])
    np.testing.assert_array_equal(boxes, [[1, 0.5, 3, 2], [0, 0, 4, 3]])
    assert boxes.dtype == np.float32
    # Thirds: every third pixel as it is, for the others are too far away.
    third, _ = resize(image[:, :6], BOX, (2, 2), "torchvision")
    np.testing.assert_allclose(third[0, :, 2], [40, 160])
    # Twice: centres lie at -1/4, 1/4, 3/4, ... and the first is moved to the border.
    rows = image.transpose(1, 0, 2)
    doubled, _ = resize(rows, BOX, (16, 12), "torchvision")
    np.testing.assert_allclose(doubled[:5, 3, 1], [0, 10, 30, 50, 70])
    np.testing.assert_allclose(doubled[-2:, 3, 1], [0.75 * 201 + 0.25 * 240, 201])


def test_resize_scales_each_axis_by_its_own_true_ratio():
    image = np.zeros((6, 8, 3), np.uint8)
    _, boxes = resize(image, BOX, (9, 10))
    expected = BOX * np.array([10 / 8, 9 / 6, 10 / 8, 9 / 6])
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


def test_resize_to_the_same_size_and_without_boxes_changes_nothing():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    same, boxes = resize(image, np.zeros((0, 4), np.float32), (6, 8))
    np.testing.assert_array_equal(same, image)
    assert boxes.shape == (0, 4)


def test_flip_moves_boxes_with_the_pixels():
    image = np.zeros((6, 8, 3), np.uint8)
    image[1:4, 2:6] = 255
    flipped, boxes = horizontal_flip(image, BOX)
    np.testing.assert_array_equal(boxes, [[2, 1, 6, 4], [0, 0, 8, 6]])
    flipped, boxes = horizontal_flip(image[:, :7], BOX[:1])  # now 7 wide, so not symmetric
    np.testing.assert_array_equal(boxes, [[1, 1, 5, 4]])
    assert (flipped[1:4, 1:5] == 255).all()
    assert flipped.sum() == 255 * 3 * 4 * 3
    assert boxes.dtype == np.float32


def test_vertical_flip_moves_boxes_with_the_pixels():
    image = np.zeros((7, 8, 3), np.uint8)
    image[1:4, 2:6] = 255
    flipped, boxes = vertical_flip(image, BOX[:1])
    np.testing.assert_array_equal(boxes, [[2, 3, 6, 6]])
    assert (flipped[3:6, 2:6] == 255).all()
    assert flipped.sum() == image.sum()
    assert boxes.dtype == np.float32


@pytest.mark.parametrize("flip", [horizontal_flip, vertical_flip])
def test_flip_of_no_boxes_keeps_their_shape(flip):
    _, boxes = flip(np.zeros((2, 2, 3), np.uint8), np.zeros((0, 4), np.float32))
    assert boxes.shape == (0, 4)

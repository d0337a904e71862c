import numpy as np
import pytest

from jaxrcnn.data.transforms import (
    horizontal_flip,
    resize,
    resize_scale,
    resized_size,
    vertical_flip,
)

BOX = np.array([[2.0, 1.0, 6.0, 4.0], [0.0, 0.0, 8.0, 6.0]], np.float32)


@pytest.mark.parametrize(
    ("size", "bucket", "scale", "resized"),
    [
        ((480, 640), None, 0.5, (240, 320)),  # the short side decides
        ((640, 480), None, 0.5, (320, 240)),
        ((100, 400), None, 1.0, (100, 400)),  # the long side decides: 400 / 400
        ((240, 320), None, 1.0, (240, 320)),
        ((480, 640), (192, 640), 0.4, (192, 256)),  # the bucket's height decides
        ((480, 640), (999, 160), 0.25, (120, 160)),  # the bucket's width decides
        ((120, 161), None, 2.0, (240, 322)),  # a small image grows
        ((1, 4000), None, 0.1, (1, 400)),  # never less than one pixel
    ],
)
def test_scale_is_the_smallest_of_the_three_limits(size, bucket, scale, resized):
    assert resize_scale(size, 240, 400, bucket) == pytest.approx(scale)
    assert resized_size(size, 240, 400, bucket) == resized


def test_resized_size_never_exceeds_the_bucket():
    rng = np.random.default_rng(0)
    for height, width, tall, wide in rng.integers(1, 700, (300, 4)):
        bucket = (int(tall), int(wide))
        resized = resized_size((int(height), int(width)), 240, 400, bucket)
        assert resized[0] <= bucket[0]
        assert resized[1] <= bucket[1]


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


def test_torchvision_rounds_the_size_down_from_a_scale_in_float32():
    assert resized_size((150, 206), 160, 256, None, "torchvision") == (160, 219)  # 219.7
    # 256 / 163 is a little less in float32, and so is 163 times that than 256.
    assert resized_size((100, 163), 160, 256, None, "torchvision") == (157, 255)
    assert resized_size((100, 163), 160, 256) == (157, 256)
    assert resized_size((1, 4000), 240, 400, None, "torchvision") == (1, 400)


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

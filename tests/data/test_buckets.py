import numpy as np
import pytest

from jaxrcnn.data.buckets import (
    choose_buckets,
    exact_buckets,
    ladder,
    ladder_buckets,
    padded_area,
)
from jaxrcnn.data.transforms import resized_size


def test_one_orientation_has_one_bucket_just_large_enough():
    buckets = choose_buckets(np.array([[480, 640], [480, 640]]), 240, 320)
    assert buckets.shapes == ((256, 320),)
    np.testing.assert_array_equal(buckets.of_record, [0, 0])


def test_landscape_and_portrait_have_their_own_bucket():
    sizes = np.array([[640, 480], [480, 640], [500, 500], [600, 500]])
    buckets = choose_buckets(sizes, 240, 400)
    # Resized: 320x240, 240x320, 240x240, 288x240.
    assert buckets.shapes == ((256, 320), (320, 256))
    np.testing.assert_array_equal(buckets.of_record, [1, 0, 0, 1])
    assert buckets.of_record.dtype == np.int32


def test_portrait_alone_is_the_first_bucket():
    buckets = choose_buckets(np.array([[640, 480]]), 240, 400)
    assert buckets.shapes == ((320, 256),)
    np.testing.assert_array_equal(buckets.of_record, [0])


def test_the_long_side_bounds_the_bucket():
    buckets = choose_buckets(np.array([[100, 1000], [800, 801]]), 800, 1333)
    # 100x1000 becomes 133x1333, 800x801 stays.
    assert buckets.shapes == ((800, 1344),)


def test_the_bucket_is_for_the_size_that_the_method_gives():
    sizes = np.array([[60, 175]])  # 32.9 x 96, rounded or rounded down
    assert choose_buckets(sizes, 64, 96).shapes == ((64, 96),)
    assert choose_buckets(sizes, 64, 96, "torchvision").shapes == ((32, 96),)


def test_no_images_have_no_bucket():
    buckets = choose_buckets(np.zeros((0, 2), np.int64), 240, 320)
    assert buckets.shapes == ()
    assert buckets.of_record.shape == (0,)


def test_the_ladder_goes_from_a_square_to_the_longest_in_both_orientations():
    shapes = ((800, 800), (800, 1088), (1088, 800), (800, 1344), (1344, 800))
    assert ladder(800, 1333) == shapes
    assert ladder(128, 128) == ((128, 128),)
    assert ladder(128, 192) == ((128, 128), (128, 192), (192, 128))  # 4:3 is the longest


@pytest.mark.parametrize("method", ["pillow", "torchvision"])
@pytest.mark.parametrize("limits", [(800, 1333), (320, 640), (240, 400), (64, 96)])
def test_an_image_has_the_smallest_shape_that_it_fits(limits, method):
    sizes = np.random.default_rng(0).integers(1, 1500, (300, 2))
    buckets = ladder_buckets(sizes, *limits, method)
    for size, place in zip(sizes.tolist(), buckets.of_record, strict=True):
        height, width = resized_size(tuple(size), *limits, method)
        areas = [h * w for h, w in ladder(*limits) if h >= height and w >= width]
        shape = buckets.shapes[place]
        assert shape[0] >= height
        assert shape[1] >= width
        assert shape[0] * shape[1] == min(areas)
    assert set(buckets.of_record.tolist()) == set(range(len(buckets.shapes)))


def test_a_shape_of_the_ladder_does_not_depend_on_the_other_images():
    sizes = np.array([[480, 640], [640, 480], [500, 500], [100, 1000], [427, 640]])
    together = ladder_buckets(sizes, 800, 1333)
    for size, place in zip(sizes, together.of_record, strict=True):
        assert ladder_buckets(size[None], 800, 1333).shapes == (together.shapes[place],)
    assert together.shapes == ((800, 800), (800, 1088), (1088, 800), (800, 1344))


def test_an_exact_shape_is_rounded_up_to_what_the_neck_needs():
    sizes = np.array([[150, 200], [210, 140], [150, 200], [160, 224]])
    # Resized: 160x213, 240x160, 160x213, 160x224.
    buckets = exact_buckets(sizes, 160, 256, "pillow", 32)
    assert buckets.shapes == ((160, 224), (256, 160))
    np.testing.assert_array_equal(buckets.of_record, [0, 1, 0, 0])
    buckets = exact_buckets(sizes, 160, 256, "pillow", 1)
    assert buckets.shapes == ((160, 213), (160, 224), (240, 160))
    np.testing.assert_array_equal(buckets.of_record, [0, 2, 0, 1])


def test_no_images_have_no_shape():
    nothing = np.zeros((0, 2), np.int64)
    for buckets in (ladder_buckets(nothing, 64, 96), exact_buckets(nothing, 64, 96, "pillow", 32)):
        assert buckets.shapes == ()
        assert buckets.of_record.shape == (0,)


LANDSCAPE, WIDE, PORTRAIT = (480, 640), (360, 640), (640, 480)


def many(*kinds):
    return np.array([size for size, number in kinds for _ in range(number)])


def test_a_third_shape_is_for_the_images_that_are_padded_most():
    # Resized to 240 or 400: 240x320, 225x400, 320x240. Landscape images together: 256x416.
    sizes = many((LANDSCAPE, 40), (WIDE, 30), (PORTRAIT, 30))
    buckets = choose_buckets(sizes, 240, 400, most=3)
    assert buckets.shapes == ((320, 256), (256, 320), (256, 416))
    np.testing.assert_array_equal(buckets.of_record, [1] * 40 + [2] * 30 + [0] * 30)
    two = choose_buckets(sizes, 240, 400)
    assert padded_area(two) == 70 * 256 * 416 + 30 * 320 * 256
    assert padded_area(buckets) == 30 * 256 * 416 + 70 * 320 * 256


def test_a_shape_has_images_for_some_batches_of_an_epoch():
    sizes = many((LANDSCAPE, 40), (WIDE, 30), (PORTRAIT, 30))
    assert len(choose_buckets(sizes, 240, 400, most=3, batch_size=7).shapes) == 3
    found = choose_buckets(sizes, 240, 400, most=3, batch_size=8)  # 30 images are not 4 batches
    two = choose_buckets(sizes, 240, 400)
    assert found.shapes == two.shapes == ((256, 416), (320, 256))


def test_a_shape_that_saves_little_is_left_out():
    def shapes(*kinds):
        return choose_buckets(many(*kinds), 240, 400, most=8).shapes

    orientations = (LANDSCAPE, 500), (PORTRAIT, 500)
    two = ((256, 320), (320, 256))
    assert shapes(*orientations) == two
    assert shapes(*orientations, ((480, 500), 8)) == two  # a square would save 0.2 %
    assert shapes(*orientations, ((480, 500), 200)) == ((320, 256), (256, 256), (256, 320))


def test_one_shape_holds_all_images():
    buckets = choose_buckets(many((LANDSCAPE, 3), (PORTRAIT, 2)), 240, 400, most=1)
    assert buckets.shapes == ((320, 320),)
    np.testing.assert_array_equal(buckets.of_record, np.zeros(5))

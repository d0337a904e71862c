import numpy as np

from jaxrcnn.data.buckets import choose_buckets


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

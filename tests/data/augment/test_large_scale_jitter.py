import numpy as np

from jaxrcnn.data.augment.large_scale_jitter import LargeScaleJitter
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of

SAMPLE = sample_of((48, 64), [[16, 12, 32, 24]])
SETTING = setting_of(canvas=(96, 160))


def test_scale_one_just_fits_the_shape_of_the_batch():
    jittered = LargeScaleJitter(SETTING)(SAMPLE, "record", Draws(0.0, 1.0, 0, 0))
    assert jittered.final_size == (96, 128)
    np.testing.assert_array_equal(jittered.boxes, SAMPLE.boxes)


def test_a_smaller_scale_keeps_all_of_the_image():
    jittered = LargeScaleJitter(SETTING)(SAMPLE, "record", Draws(0.0, 0.25, 0, 0))
    assert jittered.final_size == (24, 32)
    assert jittered.image.shape == (48, 64, 3)


def test_a_larger_scale_is_cut_to_the_shape_of_the_batch():
    # Twice 96x128 is 192x256: half of the rows fit, and 160 of 256 columns, which are 40 of 64.
    jittered = LargeScaleJitter(SETTING)(SAMPLE, "record", Draws(0.0, 2.0, 10, 20))
    assert jittered.image.shape == (24, 40, 3)
    assert jittered.final_size == (96, 160)
    np.testing.assert_array_equal(jittered.boxes, [[0, 2, 12, 14]])


def test_probability_and_range():
    rng = np.random.default_rng(0)
    half = LargeScaleJitter(SETTING, p=0.5, low=0.5, high=0.75)
    sizes = [half(SAMPLE, "record", rng).final_size for _ in range(40)]
    assert 8 < sizes.count(None) < 32
    heights = [size[0] for size in sizes if size]
    assert min(heights) in range(48, 54)
    assert max(heights) in range(67, 73)
    assert half(SAMPLE, "record", None) is half(SAMPLE, None, rng) is SAMPLE

import dataclasses

import numpy as np

from jaxrcnn.data.augment.zooming import resized, zoom
from jaxrcnn.data.transforms import resize
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of


def test_what_fits_is_kept_whole():
    sample = sample_of((10, 20), [[2, 2, 8, 8]])
    small = zoom(sample, (5, 10), (8, 16), 0.1, Draws(0, 0))
    assert small.final_size == (5, 10)
    assert small.image.shape == (10, 20, 3)
    np.testing.assert_array_equal(small.boxes, [[2, 2, 8, 8]])


def test_what_does_not_fit_is_cut_before_it_is_resized():
    # Twice as large is 20x40, of which 8x16 is kept: 4 rows and 8 columns of the original.
    sample = sample_of((10, 20), [[4, 3, 12, 5], [0, 0, 2, 2]])
    large = zoom(sample, (20, 40), (8, 16), 0.1, Draws(2, 5))
    assert large.image.shape == (4, 8, 3)
    assert large.final_size == (8, 16)
    np.testing.assert_array_equal(large.boxes, [[0, 1, 7, 3]])
    np.testing.assert_array_equal(resize(large, large.final_size).boxes, [[0, 2, 14, 6]])


def test_only_the_side_that_is_too_long_is_cut():
    wide = zoom(sample_of((10, 20)), (8, 32), (8, 16), 0.1, Draws(0, 10))
    assert wide.image.shape == (10, 10, 3)
    assert wide.final_size == (8, 16)


def test_a_part_keeps_the_scale_where_whole_pixels_do_not_fill_the_space():
    # Ten times as large, of which 15 are kept: 1.5 pixels of the original, which are 2 or 20.
    few = zoom(sample_of((4, 4)), (40, 40), (15, 40), 0.1, Draws(1, 0))
    assert few.image.shape == (2, 4, 3)
    assert few.final_size == (15, 40)
    # 4 times as large, of which 6 are kept, 1.5 pixels: with 1.4 it would be one of 4.
    fewer = zoom(sample_of((5, 4)), (20, 16), (5, 16), 0.1, Draws(1, 0))
    assert fewer.image.shape == (1, 4, 3)
    assert fewer.final_size == (4, 16)


def test_a_resized_sample_is_not_resized_again():
    sample = dataclasses.replace(sample_of((10, 20), [[2, 2, 8, 8]]), final_size=(5, 10))
    small = resized(sample, setting_of())
    assert small.image.shape == (5, 10, 3)
    assert small.final_size == (5, 10)
    np.testing.assert_array_equal(small.boxes, [[1, 1, 4, 4]])
    as_usual = resized(sample_of((10, 20)), setting_of(final=(20, 40)))
    assert as_usual.image.shape[:2] == as_usual.final_size == (20, 40)

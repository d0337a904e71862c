import numpy as np

from jaxrcnn.data.augment.random_crop import RandomCrop
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of

SETTING = setting_of(min_visible=0.0)


def test_the_window_holds_the_centre_of_the_drawn_box():
    sample = sample_of((10, 20), [[0, 0, 2, 2], [12, 6, 16, 10]])
    # Half of the sides is 5x10. The centre (14, 8) lies in pixel (14, 8): rows begin at 4 or 5,
    # and columns at 5 to 10.
    cropped = RandomCrop(SETTING)(sample, "record", Draws(0.0, 0.5, 0.5, 1, 5, 10))
    assert cropped.image.shape == (5, 10, 3)
    np.testing.assert_array_equal(cropped.boxes, [[2, 1, 6, 5]])
    assert not cropped.ignore.any()
    for y, x in ((3, 10), (6, 10), (5, 4), (5, 11)):
        try:
            RandomCrop(SETTING)(sample, "record", Draws(0.0, 0.5, 0.5, 1, y, x))
        except AssertionError:
            continue
        raise AssertionError(f"the window may begin at {y}, {x}")


def test_a_box_whose_centre_is_cut_off_is_ignored():
    sample = sample_of((10, 20), [[8, 2, 14, 6], [0, 2, 8, 6]])
    cropped = RandomCrop(SETTING)(sample, "record", Draws(0.0, 1.0, 0.5, 0, 0, 5))
    np.testing.assert_array_equal(cropped.boxes, [[3, 2, 9, 6], [0, 2, 3, 6]])
    np.testing.assert_array_equal(cropped.ignore, [False, True])


def test_without_an_object_the_window_is_anywhere():
    crowd = sample_of((10, 20), [[0, 0, 2, 2]], ignore=np.array([True]))
    cropped = RandomCrop(SETTING)(crowd, "record", Draws(0.0, 0.5, 0.5, 5, 10))
    assert cropped.image.shape == (5, 10, 3)
    assert len(cropped.boxes) == 0
    assert RandomCrop(SETTING)(crowd, "record", None) is crowd

"""Its windows are torchvision's: see test_peers.py."""

import numpy as np

from jaxrcnn.data.augment.iou_crop import IouCrop
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of


def test_regions_to_ignore_are_no_objects():
    crowd = sample_of((10, 10), [[0, 0, 10, 10]], ignore=np.array([True]))
    assert IouCrop(setting_of())(crowd, "record", Draws(0.0)) is crowd
    boxes, ignore = [[0, 0, 4, 4], [4, 0, 10, 10]], np.array([False, True])
    sample = sample_of((10, 10), boxes, ignore=ignore)
    # IoU of at least 0.1. First the right half, which holds the centre of the crowd alone; then
    # the left one, which has an IoU of 16 / 50 with the object.
    draws = Draws(0.0, 1, 2 / 7, 1.0, 1.0, 0.0, 2 / 7, 1.0, 0.0, 0.0)
    cropped = IouCrop(setting_of())(sample, "record", draws)
    assert cropped.image.shape == (10, 5, 3)
    np.testing.assert_array_equal(cropped.boxes, [[0, 0, 4, 4], [4, 0, 5, 10]])
    np.testing.assert_array_equal(cropped.ignore, [False, True])
    assert draws.left == []


def test_a_window_that_is_too_wide_is_drawn_again_and_after_the_trials_another_iou():
    sample = sample_of((10, 10), [[0, 0, 4, 4]])
    # Two windows of 4 rows and 10 columns, then the image as it is.
    draws = Draws(0.0, 0, 1.0, 0.2, 1.0, 0.2, 6)
    assert IouCrop(setting_of(), trials=2)(sample, "record", draws) is sample
    assert draws.left == []

import numpy as np

from jaxrcnn.data.augment.cutout import Cutout, cut_out
from tests.data.augment.settings import setting_of
from tests.data.small import sample_of


def test_holes_by_hand():
    image = np.full((6, 8, 3), 200, np.uint8)
    image.setflags(write=False)
    sample = sample_of(image, [[0, 0, 4, 4], [4, 2, 8, 6]], extra={"mask": image[..., 0] > 0})
    holes = cut_out(sample, np.array([[0, 0, 4, 1], [5, 2, 8, 6]]), fill=9, min_visible=0.5)
    expected = np.full((6, 8), 200)
    expected[0, :4] = 9
    expected[2:6, 5:8] = 9
    np.testing.assert_array_equal(holes.image[..., 0], expected)
    np.testing.assert_array_equal(holes.boxes, [[0, 1, 4, 4], [4, 2, 5, 6]])
    np.testing.assert_array_equal(holes.ignore, [False, True])
    assert holes.extra["mask"].all()


def test_holes_have_the_sides_and_the_number_that_are_asked_for():
    rng, sample = np.random.default_rng(0), sample_of((100, 200))
    cutout = Cutout(setting_of(), p=1.0, count=1, low=0.1, high=0.2, fill=255)
    for _ in range(20):
        rows, columns = np.nonzero(cutout(sample, "record", rng).image[..., 0])
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        assert 10 <= height <= 20 <= width <= 40
    whole = Cutout(setting_of(), p=1.0, count=1, low=1.0, high=1.0, fill=3)
    assert (whole(sample, "record", rng).image == 3).all()
    assert not sample.image.any()
    assert cutout(sample, "record", None) is sample

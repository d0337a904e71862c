import numpy as np
import pytest

from jaxrcnn.data.checks import FaultLog, are_normalised, check_boxes
from jaxrcnn.data.errors import DataError

# In an image of 40 x 30 pixels (width x height).
GOOD = (1, 2, 11, 22)


def test_boxes_are_cut_where_they_reach_out_by_a_pixel():
    checked = check_boxes(np.array([GOOD, (-1.0, -0.25, 41.0, 31.0)], np.float64), 30, 40)
    np.testing.assert_array_equal(checked.boxes, [GOOD, (0, 0, 40, 30)])
    np.testing.assert_array_equal(checked.cut, [False, True])
    np.testing.assert_array_equal(checked.good, [True, True])
    assert checked.boxes.dtype == np.float32


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((np.nan, 2, 3, 5), "not finite"),
        ((np.inf, 2, -np.inf, 5), "not finite"),
        ((1, 2, np.inf, np.inf), "not finite"),
        ((-1.7e308, 2, 1.7e308, 5), "extends beyond"),
        ((9, 2, 6, 5), "the box (9, 2, 6, 5) is inverted"),
        ((9, 2, 6, 2), "is inverted"),
        ((40, 2, 40.5, 5), "lies outside the image of 40x30 pixels"),
        ((3, -9, 5, -8), "lies outside"),
        ((30, 2, 41.5, 5), "extends beyond the image of 40x30 pixels"),
    ],
)
def test_a_faulty_box_is_named_and_the_others_stay(box, said):
    checked = check_boxes(np.array([GOOD, box, GOOD], np.float64), 30, 40)
    assert list(checked.faults) == [1]
    assert said in checked.faults[1]
    np.testing.assert_array_equal(checked.good, [True, False, True])
    assert not checked.empty.any()


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (5, 5, 9, 5), (5, 5, 5, 5), (90, 5, 90, 9), (20, 5, 20 + 1e-9, 9)]
)
def test_a_box_without_area_is_empty_and_no_fault(box):
    checked = check_boxes(np.array([box, GOOD], np.float64), 30, 40)
    np.testing.assert_array_equal(checked.empty, [True, False])
    np.testing.assert_array_equal(checked.good, [False, True])
    assert checked.faults == {}


def test_no_boxes_are_fine():
    assert check_boxes(np.zeros((0, 4)), 30, 40).good.shape == (0,)


def test_boxes_in_shares_of_the_image_are_recognised():
    shares, pixels, none = np.array([[0, 0.25, 0.5, 1]]), np.array([[3, 4, 9, 9]]), np.zeros((0, 4))
    assert are_normalised([shares, none, shares])
    assert not are_normalised([shares, pixels])
    assert not are_normalised([np.concatenate([shares, pixels])])
    assert not are_normalised([none])
    assert not are_normalised([])


def test_a_log_stops_at_the_first_fault_or_keeps_its_line():
    with pytest.raises(DataError, match="torn"):
        FaultLog("raise").add(DataError("torn"))
    log = FaultLog("skip")
    log.add(DataError("torn"))
    assert log.lines == ["torn"]

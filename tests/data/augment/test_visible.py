import numpy as np
import pytest

from jaxrcnn.data.augment.visible import cover, cut, visible_parts
from tests.data.small import sample_of


def test_what_is_left_of_a_box_decides_whether_it_stays():
    boxes = [
        [0, 0, 4, 4],  # half of it is left
        [0, 4, 3, 8],  # a third
        [0, 0, 2, 8],  # nothing, but its side
        [4, 4, 8, 8],  # all
        [0, 0, 8, 8],  # three quarters, to be ignored
        [0, 6, 20, 8],  # six tenths, with its centre outside
    ]
    ignore = np.array([False, False, False, False, True, False])
    sample = sample_of((8, 20), boxes, ignore=ignore, box_extra={"row": np.arange(6)})
    part = cut(sample, (0, 2, 8, 10), min_visible=0.5)
    np.testing.assert_array_equal(
        part.boxes, [[0, 0, 2, 4], [0, 4, 1, 8], [2, 4, 6, 8], [0, 0, 6, 8], [0, 6, 8, 8]]
    )
    np.testing.assert_array_equal(part.labels, [1, 2, 4, 5, 6])
    np.testing.assert_array_equal(part.ignore, [False, True, False, True, True])
    np.testing.assert_array_equal(part.box_extra["row"], [0, 1, 3, 4, 5])
    # A centre on the left side of the window is inside, one on the right side is not.
    by_centres = cut(sample, (0, 2, 8, 10), min_visible=0.0, centres=True)
    np.testing.assert_array_equal(by_centres.ignore, [False, True, False, True, True])
    assert not cut(sample, (0, 2, 8, 10), min_visible=0.0).ignore[[0, 1, 2, 4]].any()


def test_a_box_that_is_not_cut_stays_whatever_has_to_be_left_of_it():
    boxes = np.random.default_rng(0).uniform(10, 20, (50, 2, 2))
    boxes = np.sort(boxes, axis=1).reshape(50, 4)
    part = cut(sample_of((30, 30), boxes), (7, 9, 30, 29), min_visible=1.0)
    assert len(part.boxes) == 50
    assert not part.ignore.any()
    rounded = sample_of((30, 30), [[0, 0, 30.00001, 30]])  # as resizing leaves it
    assert not cut(rounded, (0, 0, 30, 30), min_visible=1.0).ignore.any()


def test_what_is_visible_of_a_box_by_hand():
    boxes = np.array([[0, 0, 10, 10]] * 6, np.float32)
    rectangles = {
        "corner": [[-5, -5, 4, 5]],  # 4 x 5 of 100, and no side is gone
        "side": [[0, -1, 3, 12]],  # three columns
        "middle": [[2, 2, 8, 8]],
        "overlapping": [[0, 0, 10, 4], [0, 2, 10, 6]],  # six rows in all
        "all": [[-1, -1, 5, 11], [5, -1, 11, 11]],
        "nothing": [[10, 0, 12, 10]],
    }
    expected = {
        "corner": ([0, 0, 10, 10], 0.8),
        "side": ([3, 0, 10, 10], 0.7),
        "middle": ([0, 0, 10, 10], 0.64),
        "overlapping": ([0, 6, 10, 10], 0.4),
        "nothing": ([0, 0, 10, 10], 1.0),
    }
    for name, (box, share) in expected.items():
        parts, shares = visible_parts(boxes, np.array(rectangles[name]))
        np.testing.assert_array_equal(parts, [box] * 6)
        np.testing.assert_allclose(shares, share)
        assert parts.dtype == np.float32
    assert (visible_parts(boxes, np.array(rectangles["all"]))[1] == 0).all()


def test_areas_and_sides_are_those_of_pixels():
    rng = np.random.default_rng(1)
    for _ in range(30):
        boxes = np.sort(rng.integers(0, 13, (5, 2, 2)), axis=1).reshape(5, 4)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        rectangles = np.sort(rng.integers(-2, 15, (3, 2, 2)), axis=1).reshape(3, 4)
        covered = np.zeros((17, 17), bool)  # pixel (2, 2) is the origin
        for x0, y0, x1, y1 in rectangles + 2:
            covered[y0:y1, x0:x1] = True
        parts, shares = visible_parts(boxes.astype(np.float32), rectangles)
        for (x0, y0, x1, y1), part, share in zip(boxes, parts, shares, strict=True):
            free = ~covered[y0 + 2 : y1 + 2, x0 + 2 : x1 + 2]
            assert share == pytest.approx(free.mean())
            if free.any():
                rows, columns = np.nonzero(free)
                found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                np.testing.assert_array_equal(part - [x0, y0, x0, y0], found)


def test_a_covered_box_shrinks_is_ignored_or_goes():
    boxes = [[0, 0, 4, 4], [4, 0, 8, 4], [8, 0, 12, 4]]
    sample = sample_of((8, 12), boxes, box_extra={"row": np.arange(3)})
    covered = cover(sample, np.array([[2, 0, 7, 5], [8, 0, 12, 4]]), min_visible=0.5)
    np.testing.assert_array_equal(covered.boxes, [[0, 0, 2, 4], [7, 0, 8, 4]])
    np.testing.assert_array_equal(covered.ignore, [False, True])  # a half and a quarter are left
    np.testing.assert_array_equal(covered.box_extra["row"], [0, 1])
    assert cover(sample, np.zeros((0, 4), int), 0.5) is sample
    assert len(cover(sample_of((8, 12)), np.array([[0, 0, 2, 2]]), 0.5).boxes) == 0

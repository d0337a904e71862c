import numpy as np

from jaxrcnn.data.augment.copy_paste import CopyPaste
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of


def below_and_above():
    below = sample_of(np.full((8, 10, 3), 1, np.uint8), [[0, 0, 4, 4], [6, 4, 10, 8]])
    image = np.full((6, 6, 3), 7, np.uint8)
    image[1:4, 2:5] = 8
    boxes = [[2, 1, 5, 4], [4, 3, 6, 6], [0, 0, 6, 6]]
    return below, sample_of(image, boxes, ignore=np.array([False, False, True]))


def test_a_rectangle_is_pasted_with_what_reaches_into_it_and_covers_what_is_below():
    below, above = below_and_above()
    paste = CopyPaste(setting_of(others=[above], min_visible=0.5))
    # The first of the two objects, 3x3, at row 1 and column 2.
    made = paste(below, "record", Draws(0.0, (0, 1), 1, 1, 2))
    expected = np.full((8, 10), 1)
    expected[1:4, 2:5] = 8
    np.testing.assert_array_equal(made.image[..., 0], expected)
    # Of the first box below 6 of 16 are covered, but no side. The other object reaches into the
    # rectangle by 1 of 6, and the crowd by all of it.
    np.testing.assert_array_equal(
        made.boxes,
        [[0, 0, 4, 4], [6, 4, 10, 8], [2, 1, 5, 4], [4, 3, 5, 4], [2, 1, 5, 4]],
    )
    np.testing.assert_array_equal(made.labels, [1, 2, 1, 2, 3])
    np.testing.assert_array_equal(made.ignore, [False, False, False, True, True])
    assert made.final_size == (8, 10)


def test_a_later_rectangle_covers_an_earlier_one():
    below, above = below_and_above()
    paste = CopyPaste(setting_of(others=[above], min_visible=0.0))
    # The second object (3 rows, 2 columns) at (0, 0), then the first (3x3) at row 1, column 0.
    made = paste(below, "record", Draws(0.0, (1, 0), 2, 0, 0, 1, 0))
    np.testing.assert_array_equal(
        made.image[:4, :3, 0], [[8, 7, 1], [8, 8, 8], [8, 8, 8], [8, 8, 8]]
    )
    (box,) = made.boxes[2:][(made.labels[2:] == 2) & ~made.ignore[2:]][:1]
    np.testing.assert_array_equal(box, [0, 0, 2, 1])  # one row of three
    # Of the box (0, 0, 4, 4) are left the end of the first row and the last column.
    np.testing.assert_array_equal(made.boxes[0], [2, 0, 4, 4])


def test_boxes_that_are_no_whole_pixels_keep_their_place_in_the_rectangle():
    below, above = sample_of((8, 10)), sample_of((6, 6), [[1.25, 2.5, 3.75, 4.5]])
    made = CopyPaste(setting_of(others=[above]))(below, "record", Draws(0.0, (0,), 1, 2, 4))
    # Pixels 1 to 4 and 2 to 5, moved by 3 and 0.
    np.testing.assert_array_equal(made.boxes, [[4.25, 2.5, 6.75, 4.5]])


def test_what_does_not_fit_is_left_out():
    below, above = below_and_above()
    small = sample_of((2, 2))
    made = CopyPaste(setting_of(others=[above]))(small, "record", Draws(0.0, (0, 1), 2))
    assert len(made.boxes) == 0
    # Two boxes below, and three in either rectangle.
    for room, draws, number in ((4, (), 2), (7, (5, 0), 5), (8, (5, 0, 5, 4), 8)):
        paste = CopyPaste(setting_of(others=[above], room=room))
        made = paste(below, "record", Draws(0.0, (0, 1), 2, *draws))
        assert len(made.boxes) == number
    assert CopyPaste(setting_of(others=[None]))(below, "record", Draws(0.0)) is below
    nothing = CopyPaste(setting_of(others=[sample_of((4, 4))]))(below, "record", Draws(0.0, (), 2))
    np.testing.assert_array_equal(nothing.image, below.image)
    assert CopyPaste(setting_of())(below, "record", None) is below

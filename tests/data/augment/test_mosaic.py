import numpy as np

from jaxrcnn.data.augment.mosaic import Mosaic
from tests.data.augment.settings import Draws, setting_of
from tests.data.small import sample_of


def samples(sizes):
    """Images of constant colours 1, 2, ..., each with a box around all of it."""
    return [
        sample_of(np.full((*size, 3), value, np.uint8), [[0, 0, size[1], size[0]]])
        for value, size in enumerate(sizes, 1)
    ]


def test_a_mosaic_by_hand():
    first, *others = samples([(2, 3), (9, 9), (4, 2), (3, 9)])
    mosaic = Mosaic(setting_of((6, 10), others=others), fill=0)
    # The point is (5, 3): of 6 rows the half, of 10 columns the half. At scale 1, the first is
    # smaller than its quarter of 3x5; of the second 3x5 are seen from row 4 and column 2 on; the
    # third is cut to 3 rows; the fourth to 5 columns.
    draws = Draws(0.0, 0.5, 0.5, *(1.0, 0, 0), *(1.0, 4, 2), *(1.0, 1, 0), *(1.0, 0, 4))
    made = mosaic(first, "record", draws)
    expected = [
        [0, 0, 0, 0, 0, 2, 2, 2, 2, 2],
        [0, 0, 1, 1, 1, 2, 2, 2, 2, 2],
        [0, 0, 1, 1, 1, 2, 2, 2, 2, 2],
        [0, 0, 0, 3, 3, 4, 4, 4, 4, 4],
        [0, 0, 0, 3, 3, 4, 4, 4, 4, 4],
        [0, 0, 0, 3, 3, 4, 4, 4, 4, 4],
    ]
    np.testing.assert_array_equal(made.image[..., 0], expected)
    np.testing.assert_array_equal(
        made.boxes, [[2, 1, 5, 3], [5, 0, 10, 3], [3, 3, 5, 6], [5, 3, 10, 6]]
    )
    assert made.final_size == (6, 10)
    assert not made.ignore.any()
    assert draws.left == []


def test_images_are_resized_to_a_share_of_what_they_would_be_alone():
    first, *others = samples([(8, 8)] * 4)
    mosaic = Mosaic(setting_of((8, 8), others=others, final=(4, 4)), fill=0)
    # At half the scale each is 2x2, and touches the point (4, 4).
    made = mosaic(first, "record", Draws(0.0, 0.5, 0.5, *(0.5, 0, 0) * 4))
    expected = np.zeros((8, 8))
    expected[2:6, 2:6] = np.kron([[1, 2], [3, 4]], np.ones((2, 2)))
    np.testing.assert_array_equal(made.image[..., 0], expected)
    np.testing.assert_array_equal(made.boxes[3], [4, 4, 6, 6])


def test_a_quarter_without_room_is_left_out():
    first, *others = samples([(8, 8)] * 4)
    mosaic = Mosaic(setting_of((8, 8), others=others), centre=0.0)
    made = mosaic(first, "record", Draws(0.0, 0.0, 0.0, 1.0, 0, 0))
    np.testing.assert_array_equal(made.image, np.full((8, 8, 3), 4))
    np.testing.assert_array_equal(made.boxes, [[0, 0, 8, 8]])


def test_an_image_stays_alone_where_another_is_unreadable_or_boxes_are_too_many():
    first, *others = samples([(8, 8)] * 4)
    unreadable = setting_of((8, 8), others=[others[0], None])
    assert Mosaic(unreadable)(first, "record", Draws(0.0)) is first
    assert Mosaic(setting_of((8, 8), others=others, room=3))(first, "record", Draws(0.0)) is first
    enough = Mosaic(setting_of((8, 8), others=others, room=4))
    assert len(enough(first, "record", np.random.default_rng(3)).boxes) == 4
    assert Mosaic(setting_of())(first, "record", None) is first

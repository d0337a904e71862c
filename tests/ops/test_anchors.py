import numpy as np
import pytest

from jaxrcnn.ops import anchors


def test_cell_anchors_have_the_area_and_the_ratio_asked_for():
    cell = anchors.cell_anchors((32.0, 64.0), (0.5, 1.0, 2.0))
    width, height = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
    np.testing.assert_allclose(np.sqrt(width * height), [32, 32, 32, 64, 64, 64], rtol=1e-6)
    np.testing.assert_allclose(height / width, [0.5, 1, 2, 0.5, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(cell[:, :2], -cell[:, 2:])
    assert cell.dtype == np.float32


def test_cell_anchors_by_hand():
    cell = anchors.cell_anchors((16.0,), (0.25, 1.0, 4.0))
    assert cell.tolist() == [[-16, -4, 16, 4], [-8, -8, 8, 8], [-4, -16, 4, 16]]


def test_rounded_cell_anchors_have_whole_corners_halves_to_even():
    # Half sides: 2.5 and 3.5 are ties; 32 * sqrt(2) / 2 = 22.6 and 32 / sqrt(2) / 2 = 11.3.
    assert anchors.cell_anchors((5.0,), (1.0,), rounded=True).tolist() == [[-2, -2, 2, 2]]
    assert anchors.cell_anchors((7.0,), (1.0,), rounded=True).tolist() == [[-4, -4, 4, 4]]
    assert anchors.cell_anchors((32.0,), (0.5,), rounded=True).tolist() == [[-23, -11, 23, 11]]


def test_grid_anchors_are_ordered_by_row_column_and_anchor():
    cell = np.array([[-1, -1, 1, 1], [-2, -2, 2, 2]], np.float32)
    grid = anchors.grid_anchors((2, 3), (8, 5), cell)
    assert grid.shape == (12, 4)
    assert grid.dtype == np.float32
    expected = [
        [5 * column - half, 8 * row - half, 5 * column + half, 8 * row + half]
        for row in range(2)
        for column in range(3)
        for half in (1, 2)
    ]
    assert grid.tolist() == expected


def test_offset_moves_every_centre_by_its_share_of_the_stride():
    cell = np.array([[-1, -1, 1, 1]], np.float32)
    moved = anchors.grid_anchors((2, 2), (16, 16), cell, offset=0.5)
    assert moved[0].tolist() == [7, 7, 9, 9]
    assert moved[3].tolist() == [23, 23, 25, 25]


def test_pyramid_anchors_are_the_levels_in_order():
    got = anchors.pyramid_anchors(((2, 3), (1, 2)), ((4, 4), (8, 8)), ((4.0,), (8.0, 16.0)), (1.0,))
    assert got.shape == (2 * 3 + 1 * 2 * 2, 4)
    assert got.dtype == np.float32
    assert got[:2].tolist() == [[-2, -2, 2, 2], [2, -2, 6, 2]]
    assert got[6:].tolist() == [[-4, -4, 4, 4], [-8, -8, 8, 8], [4, -4, 12, 4], [0, -8, 16, 8]]


def test_pyramid_anchors_pass_offset_and_rounding_on():
    got = anchors.pyramid_anchors(((1, 1),), ((8, 8),), ((5.0,),), (1.0,), offset=0.5, rounded=True)
    assert got.tolist() == [[2, 2, 6, 6]]


def test_pyramid_anchors_are_shared_and_cannot_be_written():
    arguments = (((4, 4),), ((16, 16),), ((32.0,),), (0.5, 1.0, 2.0))
    got = anchors.pyramid_anchors(*arguments)
    assert anchors.pyramid_anchors(*arguments) is got
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 0


@pytest.mark.parametrize(
    ("feature_sizes", "strides", "sizes"),
    [
        (((2, 2),), ((4, 4), (8, 8)), ((4.0,), (8.0,))),
        (((2, 2), (1, 1)), ((4, 4),), ((4.0,), (8.0,))),
        (((2, 2), (1, 1)), ((4, 4), (8, 8)), ((4.0,),)),
    ],
)
def test_another_number_of_levels_is_refused_in_one_line(feature_sizes, strides, sizes):
    with pytest.raises(ValueError, match="anchors need a stride") as error:
        anchors.pyramid_anchors(feature_sizes, strides, sizes, (1.0,))
    assert "\n" not in str(error.value)

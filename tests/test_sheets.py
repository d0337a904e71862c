import itertools

import numpy as np
import pytest

from jaxrcnn.sheets import BROADEST, SLIMMEST, WIDEST, arrange, divide

CASES = {
    "one": [(640, 480)],
    "of one size": [(640, 480)] * 8,
    "of two orientations": [(640, 480), (480, 640), (640, 427), (427, 640), (500, 375)] * 2,
    "small and large": [(60, 40), (3000, 2000), (64, 64), (1290, 500), (30, 90)],
    "of extreme shapes": [(5000, 10), (10, 5000), (1, 1), (640, 480)],
}


@pytest.mark.parametrize("sizes", CASES.values(), ids=CASES)
def test_rows_are_equally_wide_and_each_of_one_height(sizes):
    sheet = arrange(sizes)
    rows = [list(row) for _, row in itertools.groupby(sheet.cells, key=lambda cell: cell.top)]
    assert [cell for row in rows for cell in row] == sheet.cells  # in order
    gap = sheet.cells[0].left
    for row in rows:
        assert len({cell.height for cell in row}) == 1
        assert row[0].left == gap
        assert row[-1].left + row[-1].width + gap == sheet.width
        for one, other in itertools.pairwise(row):
            assert other.left - (one.left + one.width) == gap
    for one, other in itertools.pairwise(rows):
        assert other[0].top == one[0].top + one[0].height + gap
    assert rows[-1][0].top + rows[-1][0].height + gap == sheet.height
    assert sheet.width <= WIDEST + 2 * gap


@pytest.mark.parametrize("sizes", CASES.values(), ids=CASES)
def test_cells_have_the_shapes_of_their_images(sizes):
    for (width, height), cell in zip(sizes, arrange(sizes).cells, strict=True):
        ratio = np.clip(width / height, SLIMMEST, BROADEST)
        assert cell.width == pytest.approx(cell.height * ratio, abs=1 + ratio)


def test_a_sheet_is_a_little_wider_than_high_and_images_keep_about_their_size():
    sheet = arrange([(640, 480)] * 12)
    assert 1 < sheet.width / sheet.height < 2
    assert {cell.height for cell in sheet.cells} <= set(range(430, 531))


def test_rows_are_about_equally_wide_before_they_are_scaled():
    assert divide([1, 1, 1, 1], 2) == [2, 2]
    assert divide([3, 1, 1, 1], 2) == [1, 3]
    assert divide([1, 1, 4, 1, 1], 3) == [2, 1, 2]
    assert divide([1, 1, 1, 1, 1], 2) == [2, 3]
    assert divide([1, 20, 1], 4) == [1, 1, 1]  # no middle falls into one of the rows
    assert divide([1], 3) == [1]

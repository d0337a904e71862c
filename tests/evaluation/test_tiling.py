import itertools

import numpy as np
import pytest

from jaxrcnn.evaluation import tiling
from jaxrcnn.evaluation.tiling import Window, _lie_in, cut_at_seams, seen_whole, tile_windows


def test_tiles_lie_row_by_row_and_the_last_is_shifted_inward():
    assert tile_windows((100, 230), 100, 0.2) == [
        Window(0, 0, 100, 100),
        Window(0, 80, 100, 180),
        Window(0, 130, 100, 230),  # 160 would end at 260
    ]
    assert tile_windows((150, 100), 100, 0.2) == [Window(0, 0, 100, 100), Window(50, 0, 150, 100)]
    assert [window[:2] for window in tile_windows((180, 180), 100, 0.2)] == [
        (0, 0),
        (0, 80),
        (80, 0),
        (80, 80),
    ]


def test_an_image_no_larger_than_a_tile_is_one_tile():
    assert tile_windows((60, 80), 100, 0.2) == [Window(0, 0, 60, 80)]
    assert tile_windows((100, 100), 100, 0.2) == [Window(0, 0, 100, 100)]
    assert tile_windows((60, 120), 100, 0.2) == [Window(0, 0, 60, 100), Window(0, 20, 60, 120)]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("size", [(32, 32), (33, 95), (64, 96), (100, 31)])
def test_every_pixel_is_in_a_tile_and_neighbours_overlap(size, overlap):
    covered = np.zeros(size, int)
    windows = tile_windows(size, 32, overlap)
    for y0, x0, y1, x1 in windows:
        assert (y1 - y0, x1 - x0) == (min(32, size[0]), min(32, size[1]))
        covered[y0:y1, x0:x1] += 1
    assert covered.min() >= 1
    columns = sorted({window.x0 for window in windows})
    assert all(b - a <= 32 - int(32 * overlap) for a, b in itertools.pairwise(columns))


def test_boxes_are_cut_at_inner_seams_alone():
    size, window = (200, 300), Window(0, 100, 200, 200)  # the whole height, so no seam above
    boxes = np.array(
        [
            (120, 20, 160, 60),
            (100, 20, 160, 60),
            (120, 20, 199.5, 60),
            (120, 0, 160, 200),
            (102, 20, 160, 60),  # a pixel is the tolerance of 100
        ]
    )
    assert cut_at_seams(boxes, window, size).tolist() == [False, True, True, False, False]
    assert not cut_at_seams(boxes, Window(0, 0, 200, 300), size).any()


def test_a_cut_box_goes_where_another_tile_sees_the_object_whole():
    whole, part = (80, 20, 120, 60), (80, 20, 100, 60)

    def dropped(boxes, labels, tiles, cut):
        found = seen_whole(np.array(boxes), np.array(labels), np.array(tiles), np.array(cut))
        return found.tolist()

    assert dropped([part, whole], [1, 1], [0, 1], [True, False]) == [True, False]
    assert dropped([part, whole], [1, 2], [0, 1], [True, False]) == [False, False]  # other class
    assert dropped([part, whole], [1, 1], [0, 0], [True, False]) == [False, False]  # same tile
    assert dropped([part, whole], [1, 1], [0, 1], [True, True]) == [False, False]  # cut as well
    assert dropped([part, whole], [1, 1], [0, 1], [False, False]) == [False, False]
    # 70 % of the part has to lie in the other box
    shifted = (80, 20 + 11, 120, 60 + 11)
    assert dropped([part, shifted], [1, 1], [0, 1], [True, False]) == [True, False]
    shifted = (80, 20 + 13, 120, 60 + 13)
    assert dropped([part, shifted], [1, 1], [0, 1], [True, False]) == [False, False]
    assert dropped(np.zeros((0, 4)), [], [], np.zeros(0, bool)) == []


def test_boxes_of_many_tiles_are_compared_a_few_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 90, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (300, 2))], axis=1)
    given = boxes, rng.integers(1, 3, 300), rng.integers(0, 4, 300), rng.random(300) < 0.5
    at_once, sizes = seen_whole(*given), []
    assert 20 < at_once.sum() < given[3].sum()

    def lie_in(parts, others):
        sizes.append(len(parts) * len(others))
        return _lie_in(parts, others)

    monkeypatch.setattr(tiling, "AT_A_TIME", 1000)
    monkeypatch.setattr(tiling, "_lie_in", lie_in)
    np.testing.assert_array_equal(seen_whole(*given), at_once)
    assert max(sizes) < 1200
    assert len(sizes) >= 20

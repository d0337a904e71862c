import numpy as np
import pytest

from jaxrcnn.config import AnchorConfig
from jaxrcnn.ops.anchors import pyramid_anchors
from jaxrcnn.recipe.anchor_fit import Boxes, best_ious, fitting_sizes, missed_share

STRIDES = (4, 8, 16, 32, 64)


def boxes_of(*corners, size=(64, 96)):
    corners = np.array(corners, float).reshape(-1, 4)
    return Boxes(corners, np.tile(np.array(size, float), (len(corners), 1)))


def test_a_box_that_is_an_anchor_is_met_exactly():
    anchors = AnchorConfig(sizes=((16.0,),), ratios=(1.0,))
    boxes = boxes_of((8 - 8, 16 - 8, 8 + 8, 16 + 8))  # centred at (8, 16), multiples of 8
    assert best_ious(boxes, (8,), anchors.sizes, anchors) == pytest.approx([1.0])


def test_half_a_stride_away_the_overlap_is_by_hand():
    anchors = AnchorConfig(sizes=((16.0,),), ratios=(1.0,))
    boxes = boxes_of((12, 8, 28, 24))  # centre (20, 16): 4 from (16, 16) and from (24, 16)
    # 12 x 16 shared of 2 * 256 - 192
    assert best_ious(boxes, (8,), anchors.sizes, anchors) == pytest.approx([192 / 320])


def test_there_is_no_anchor_behind_the_padded_image():
    anchors = AnchorConfig(sizes=((16.0,),), ratios=(1.0,))
    boxes = boxes_of((24, 0, 32, 16), size=(32, 32))  # centre (28, 8); centres 0, 8, ... 24
    # the anchor at (24, 8) spans 16..32: 8 x 16 shared of 128 + 256 - 128
    assert best_ious(boxes, (8,), anchors.sizes, anchors) == pytest.approx([0.5])


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_it_is_the_best_of_all_anchors(offset):
    random = np.random.default_rng(0)
    corner, side = random.uniform(0, 60, (200, 2)), random.uniform(3, 120, (200, 2))
    boxes = boxes_of(*np.concatenate([corner, corner + side], axis=1), size=(128, 192))
    anchors = AnchorConfig(offset=offset)
    maps = tuple((128 // s, 192 // s) for s in STRIDES)
    every = pyramid_anchors(
        maps, tuple((s, s) for s in STRIDES), anchors.sizes, anchors.ratios, offset
    ).astype(float)
    one, other = boxes.corners[:, None], every[None]
    shared = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.maximum(shared, 0), axis=2)
    areas = [np.prod(x[..., 2:] - x[..., :2], axis=2) for x in (one, other)]
    expected = (shared / (areas[0] + areas[1] - shared)).max(axis=1)
    found = best_ious(boxes, STRIDES, anchors.sizes, anchors)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_share_of_boxes_that_are_missed():
    anchors = AnchorConfig(sizes=((32.0,),), ratios=(1.0,))
    boxes = boxes_of((16, 16, 48, 48), (30, 30, 34, 34), (0, 0, 4, 4), (0, 0, 64, 64))
    # the first is an anchor; 4 x 4 in 32 x 32 is 1/64; 32 x 32 in 64 x 64 is a quarter
    assert missed_share(boxes, (16,), anchors) == 0.75
    assert missed_share(boxes_of(), (16,), anchors) == 0.0


def test_sizes_are_scaled_to_the_boxes():
    anchors = AnchorConfig()
    boxes = boxes_of(*[(x, x, x + 8, x + 8) for x in range(0, 40, 4)])
    assert missed_share(boxes, STRIDES, anchors) == 1.0
    sizes = fitting_sizes(boxes, STRIDES, anchors)
    assert missed_share(boxes, STRIDES, AnchorConfig(sizes=sizes)) == 0.0
    # Scaled alike, by the power of 2 ** (1 / 4) nearest to 1 that reaches all boxes: an anchor of
    # side a holds a box of side 8 with an IoU of 64 / a ** 2, and 32 * 2 ** (-6 / 4) is 11.3.
    assert sizes == ((11.0,), (23.0,), (45.0,), (91.0,), (181.0,))


def test_sizes_that_fit_stay():
    anchors = AnchorConfig(sizes=((32.0,),), ratios=(1.0,))
    assert fitting_sizes(boxes_of((16, 16, 48, 48)), (16,), anchors) == anchors.sizes

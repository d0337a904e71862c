import numpy as np

from jaxrcnn.data.records import make_record
from jaxrcnn.evaluation.boxes import iou, to_original


def test_iou_by_hand():
    a = np.array([(0, 0, 10, 10), (0, 0, 4, 5), (20, 20, 30, 30)], np.float32)
    b = np.array([(0, 0, 10, 10), (5, 0, 15, 10)], np.float32)
    expected = [[1, 50 / 150], [20 / 100, 0], [0, 0]]
    np.testing.assert_allclose(iou(a, b), expected, rtol=1e-12)


def test_iou_of_boxes_without_an_area_is_zero():
    point = np.array([(5, 5, 5, 5)], np.float32)
    assert iou(point, point) == 0
    assert iou(point, np.array([(0, 0, 10, 10)], np.float32)) == 0
    assert iou(np.zeros((0, 4), np.float32), point).shape == (0, 1)


def test_boxes_are_scaled_back_and_cut_at_the_border_of_the_original_image():
    record = make_record(1, "a", "", (100, 200), np.zeros((0, 4)), (), ())
    scale = np.array([2.0, 0.5], np.float32)  # twice as high, half as wide
    boxes = np.array([(10, 20, 30, 100), (-3, 190, 101, 210)], np.float32)
    original = to_original(boxes, scale, record)
    np.testing.assert_array_equal(original, [(20, 10, 60, 50), (0, 95, 200, 100)])
    assert original.dtype == np.float32

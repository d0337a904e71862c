import numpy as np

from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import config_for, draw_batch, draw_boxes, draw_pyramid
from jaxrcnn.config import Config


def test_a_batch_has_boxes_inside_its_images():
    batch = draw_batch(Shape(3, 60, 100), num_classes=5)
    assert batch.images.shape == (3, 60, 100, 3)
    assert batch.images.dtype == np.uint8
    assert (batch.image_sizes == (60, 100)).all()
    x0, y0, x1, y1 = np.moveaxis(batch.boxes, -1, 0)
    assert (x0 >= 0).all()
    assert (y0 >= 0).all()
    assert (x1 > x0).all()
    assert (y1 > y0).all()
    assert (x1 <= 100).all()
    assert (y1 <= 60).all()
    assert set(batch.labels.ravel()) <= set(range(1, 6))
    assert batch.box_valid.all()
    assert not batch.box_ignore.any()


def test_what_is_drawn_is_the_same_again():
    for first, second in zip(
        draw_batch(Shape(1, 32, 32), 3), draw_batch(Shape(1, 32, 32), 3), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(draw_boxes(50, 90, 120), draw_boxes(50, 90, 120))


def test_drawn_boxes_lie_in_the_image_and_overlap():
    boxes = draw_boxes(500, 90, 120)
    assert boxes.shape == (500, 4)
    assert boxes.dtype == np.float32
    assert (boxes >= 0).all()
    assert (boxes <= (120, 90, 120, 90)).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    corner = np.maximum(boxes[:, None, :2], boxes[:, :2])
    sides = np.maximum(np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - corner, 0)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    both = sides.prod(2)
    iou = both / (area[:, None] + area - both)
    np.fill_diagonal(iou, 0)
    assert (iou.max(1) > 0.7).mean() > 0.3  # else suppression would have nothing to do


def test_a_pyramid_has_a_map_for_each_stride():
    maps = draw_pyramid(64, 96, (4, 8, 16), channels=5)
    assert [x.shape for x in maps] == [(16, 24, 5), (8, 12, 5), (4, 6, 5)]
    assert all(x.dtype == np.float32 for x in maps)


def test_the_config_takes_the_shape_and_hardly_learns():
    config = config_for(Config(), Shape(4, 64, 96))
    assert config.train.batch_size == config.eval.batch_size == 4
    assert (config.data.short_side, config.data.long_side) == (64, 96)
    assert config.train.optimizer.learning_rate < 1e-6
    assert config.model == Config().model

import numpy as np
import pytest

from jaxrcnn.data.sample import empty_sample
from jaxrcnn.data.synthetic import (
    MAX_SHAPES,
    MAX_SIDE,
    MIN_SIDE,
    SHAPES,
    Scene,
    Shape,
    compose,
    coverage,
    instance_map,
    paint,
    shapes_dataset,
)


@pytest.fixture(scope="module")
def dataset():
    return shapes_dataset(60, seed=3)


def inside(corners, points):
    """Winding number test of points (n, 2), from the sum of the angles under which sides show."""
    spokes = corners[None] - points[:, None]
    after = np.roll(spokes, -1, axis=1)
    cross = spokes[..., 0] * after[..., 1] - spokes[..., 1] * after[..., 0]
    angles = np.arctan2(cross, (spokes * after).sum(-1))
    return np.abs(angles.sum(1)) > np.pi


def test_boxes_are_tight_against_an_independent_mask(dataset):
    step = 1 / 8
    for record in dataset.records[:12]:
        for box, shape in zip(record.boxes, compose(3, record.image_id).shapes, strict=True):
            x = np.arange(box[0] - 2, box[2] + 2, step) + step / 2
            y = np.arange(box[1] - 2, box[3] + 2, step) + step / 2
            points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
            hit = points[inside(shape.corners, points)]
            tight = np.concatenate([hit.min(0), hit.max(0)])
            assert np.abs(tight - box).max() < 0.5


def test_coverage_is_the_area_of_the_polygon():
    # A right triangle with legs of 20 and 10 pixels, and a rectangle on whole pixels.
    triangle = np.array([[5.0, 5.0], [25.0, 5.0], [5.0, 15.0]])
    assert coverage(triangle, 24, 32).sum() == pytest.approx(100, abs=8)
    square = np.array([[4.0, 6.0], [12.0, 6.0], [12.0, 10.0], [4.0, 10.0]])
    mask = coverage(square, 24, 32)
    assert (mask[6:10, 4:12] > 0.7).all()
    mask[5:11, 3:13] = 0
    assert mask.sum() == 0


def test_what_is_painted_stands_where_the_box_says(dataset):
    for record in dataset.records[:12]:
        scene = compose(3, record.image_id)
        ground = paint(Scene(scene.height, scene.width, (), scene.ground_seed)).astype(float)
        front = scene.shapes[-1]
        alone = paint(scene._replace(shapes=(front,))).astype(float)
        height, width = scene.height, scene.width
        mask = coverage(front.corners, height, width)
        # Fully covered pixels show the colour, lit by 0.78 to 1.22, and a little noise.
        pixels = alone[mask == 1]
        assert (pixels >= np.clip(0.78 * front.colour - 12, 0, 240)).all()
        assert (pixels <= 1.22 * front.colour + 12).all()
        changed = np.abs(alone - ground).max(-1)
        x0, y0, x1, y1 = record.boxes[-1]
        rows, columns = np.mgrid[:height, :width]
        far = (columns < x0 - 11) | (columns > x1 + 11) | (rows < y0 - 11) | (rows > y1 + 11)
        assert (changed[far] == 0).all()


def test_images_depend_on_seed_and_index_alone(dataset):
    again = shapes_dataset(5, seed=3)
    other = shapes_dataset(5, seed=4)
    for index in (0, 4):
        image = dataset.read_image(index)
        np.testing.assert_array_equal(image, again.read_image(index))
        np.testing.assert_array_equal(dataset.records[index].boxes, again.records[index].boxes)
        assert other.read_image(index).tobytes() != image.tobytes()
    assert dataset.read_image(0).tobytes() != dataset.read_image(1).tobytes()


def test_records_keep_their_promises(dataset):
    assert len(dataset) == 60
    assert dataset.class_names == SHAPES
    sides = dataset.sizes
    assert sides.min() >= MIN_SIDE
    assert sides.max() <= MAX_SIDE
    assert (sides[:, 0] > sides[:, 1]).any()
    assert (sides[:, 0] < sides[:, 1]).any()
    assert {len(record.boxes) for record in dataset.records} == set(range(1, MAX_SHAPES + 1))
    labels = np.concatenate([record.labels for record in dataset.records])
    assert set(labels.tolist()) == {1, 2, 3, 4}
    ids = np.concatenate([record.annotation_ids for record in dataset.records])
    np.testing.assert_array_equal(ids, np.arange(1, len(labels) + 1))
    for index, record in enumerate(dataset.records):
        x0, y0, x1, y1 = record.boxes.T
        assert (x0 >= 0).all()
        assert (y0 >= 0).all()
        assert (x1 <= record.width).all()
        assert (y1 <= record.height).all()
        assert np.minimum(x1 - x0, y1 - y0).min() > 4
        assert not record.ignore.any()
        if index < 5:
            image = dataset.read_image(index)
            assert image.shape == (record.height, record.width, 3)
            assert image.dtype == np.uint8


def test_no_shape_is_mostly_hidden_and_boxes_overlap_little(dataset):
    for record in dataset.records[:30]:
        scene = compose(3, record.image_id)
        points = np.stack(np.mgrid[: scene.width, : scene.height], -1).reshape(-1, 2) + 0.5
        masks = [inside(shape.corners, points) for shape in scene.shapes]
        for place, mask in enumerate(masks):
            hidden = np.any([mask & front for front in masks[place + 1 :]] or [mask & False], 0)
            assert hidden.sum() <= 0.55 * mask.sum()
        boxes = record.boxes.astype(float)
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        overlap = np.prod(np.maximum(high - low, 0), -1)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], -1)
        iou = overlap / (area[:, None] + area[None] - overlap)
        assert (iou[~np.eye(len(boxes), dtype=bool)] <= 0.3 + 1e-6).all()


def test_an_empty_set_is_possible():
    assert len(shapes_dataset(0, seed=0)) == 0


def test_an_instance_has_the_pixels_that_it_covers_by_half_and_is_in_front_of():
    back = np.array([[1.0, 1.0], [7.0, 1.0], [7.0, 5.0], [1.0, 5.0]])
    front = np.array([[3.0, 2.0], [5.2, 2.0], [5.2, 8.0], [3.0, 8.0]])  # of column 5 too little
    grey = np.zeros(3)
    drawn = instance_map(Scene(9, 8, (Shape(1, back, grey), Shape(2, front, grey)), 0))
    expected = np.zeros((9, 8), np.uint8)
    expected[1:5, 1:7] = 1
    expected[2:8, 3:5] = 2
    np.testing.assert_array_equal(drawn, expected)
    assert drawn.dtype == np.uint8


def test_instances_are_numbered_as_the_boxes_that_they_fill(dataset):
    add = dataset.reader.add_instances
    for index, record in enumerate(dataset.records[:12]):
        sample = add(dataset.read_sample(index), record, None)
        drawn = sample.extra["instance_map"]
        assert drawn.shape == (record.height, record.width)
        numbers = list(range(1 + len(record.boxes)))
        assert sample.box_extra["instance"].tolist() == numbers[1:]
        assert sorted(set(drawn.ravel())) == numbers
        for number, (x0, y0, x1, y1) in enumerate(record.boxes, 1):
            rows, columns = np.nonzero(drawn == number)
            assert x0 - 0.5 <= columns.min() + 0.5 < columns.max() + 0.5 <= x1 + 0.5
            assert y0 - 0.5 <= rows.min() + 0.5 < rows.max() + 0.5 <= y1 + 0.5
        front = record.boxes[-1]  # nothing covers it: its pixels reach its box's sides
        rows, columns = np.nonzero(drawn == len(record.boxes))
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(front - extent).max() < 2.5  # a corner covers less than half of its pixels


def test_instances_of_no_image_are_empty_and_those_of_another_data_set_are_refused(dataset):
    empty = dataset.reader.add_instances(empty_sample(5, 7), None, None)
    assert empty.extra["instance_map"].shape == (5, 7)
    assert not empty.extra["instance_map"].any()
    assert empty.box_extra["instance"].shape == (0,)
    other = shapes_dataset(2, seed=4)
    with pytest.raises(ValueError, match=r"^shapes_4_00001 is not an image of .* seed 3"):
        dataset.reader.add_instances(other.read_sample(0), other.records[0], None)

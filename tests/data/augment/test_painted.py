"""What is painted where the boxes are is found again where they are after every augmentation."""

import numpy as np
import pytest

from jaxrcnn.data.batches import make_train_batch
from jaxrcnn.data.planning import plan_training, training_buckets
from tests.data.augment.painted import VALUE, painted_dataset
from tests.data.small import config_of

MOVING = {
    "nothing": (),
    "large_scale_jitter": ("large_scale_jitter(low=0.4, high=2.5)",),
    "random_crop": ("random_crop(p=1.0)",),
    "iou_crop": ("iou_crop()",),
    "zoom_out": ("zoom_out(p=1.0, high=2.5, fill=0)",),
    "rotate90": ("rotate90()",),
    "mosaic": ("mosaic(p=1.0, fill=0)",),
    "all": (
        *("zoom_out(high=2.0, fill=0)", "rotate90()", "large_scale_jitter(low=0.5)"),
        *("iou_crop()", "mosaic(p=0.7, fill=0)"),
    ),
}
COVERING = {
    "cutout": ("cutout(p=1.0, fill=0)",),
    "copy_paste": ("copy_paste(p=1.0)",),
    "both": ("large_scale_jitter(low=0.5)", "copy_paste(p=1.0)", "cutout(p=1.0, fill=0)"),
}
STEPS = 4


def augmented_images(augment, **fields):
    """Each image of some batches with its boxes, those to ignore too, and all else."""
    dataset = painted_dataset()
    fields = {"horizontal_flip": 0.5, "vertical_flip": 0.5} | fields
    sides = {"short_side": 96, "long_side": 160, "train_short_sides": (72, 96)}
    config = config_of(steps=STEPS, batch_size=6, augment=augment, **sides, **fields)
    buckets = training_buckets(dataset, config).shapes
    assert buckets == ((96, 160), (160, 96))
    plan = plan_training(dataset, config)
    for step in range(STEPS):
        batch, _ = make_train_batch(dataset, config, *plan.of(step), step)
        for row in range(6):
            height, width = batch.image_sizes[row]
            there = batch.box_valid[row] | batch.box_ignore[row]
            yield {
                "image": batch.images[row, :height, :width],
                "padding": (batch.images[row, height:], batch.images[row, :, width:]),
                "boxes": batch.boxes[row, there],
                "labels": batch.labels[row, there],
                "ignore": batch.box_ignore[row, there],
                "mask": batch.extra["mask"][row, :height, :width],
                "rows": batch.extra["label"][row, there],
            }


def others_near(item, index, margin):
    """Whether a box of the same class is near a box."""
    x0, y0, x1, y1 = item["boxes"][index] + np.array([-margin, -margin, margin, margin])
    a, b, c, d = item["boxes"].T
    near = (a < x1) & (c > x0) & (b < y1) & (d > y0) & (item["labels"] == item["labels"][index])
    return near.sum() > 1


def paint_in(item, index, margin):
    """Where the region around a box begins (x, y), and how painted each of its pixels is."""
    height, width = item["image"].shape[:2]
    x0, y0 = np.maximum(0, np.floor(item["boxes"][index, :2]).astype(int) - margin)
    x1, y1 = np.ceil(item["boxes"][index, 2:]).astype(int) + margin
    region = item["image"][y0 : min(y1, height), x0 : min(x1, width)]
    return (x0, y0), region[..., item["labels"][index] - 1] / VALUE


@pytest.mark.parametrize("name", MOVING)
def test_area_and_centre_of_what_is_painted_are_those_of_the_box(name):
    compared = 0
    for item in augmented_images(MOVING[name]):
        for index in np.flatnonzero(~item["ignore"]):
            if others_near(item, index, 4):
                continue
            (x, y), share = paint_in(item, index, 3)
            x0, y0, x1, y1 = item["boxes"][index]
            rows, columns = np.indices(share.shape) + 0.5
            found = (
                (share * columns).sum() / share.sum() + x,
                (share * rows).sum() / share.sum() + y,
            )
            np.testing.assert_allclose(found, [(x0 + x1) / 2, (y0 + y1) / 2], atol=0.12)
            np.testing.assert_allclose(share.sum(), (x1 - x0) * (y1 - y0), rtol=0.05, atol=2)
            compared += 1
    assert compared > 25


@pytest.mark.parametrize("name", COVERING)
def test_a_box_bounds_what_is_left_visible_of_the_paint(name):
    compared = 0
    for item in augmented_images(COVERING[name]):
        for index in np.flatnonzero(~item["ignore"]):
            if others_near(item, index, 4):
                continue
            (x, y), share = paint_in(item, index, 3)
            rows, columns = np.nonzero(share > 0.2)  # a hole may leave a line of a pixel
            found = x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1
            np.testing.assert_allclose(found, item["boxes"][index], atol=1.1)
            compared += 1
    assert compared > 25


@pytest.mark.parametrize("name", [*MOVING, *COVERING])
def test_everything_painted_is_in_a_box_or_ignored_and_no_box_is_outside(name):
    for item in augmented_images((MOVING | COVERING)[name]):
        height, width = item["image"].shape[:2]
        boxes = item["boxes"]
        assert (boxes >= 0).all()
        assert (boxes <= np.array([width, height, width, height]) + 1e-4).all()  # float32
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        np.testing.assert_array_equal(item["rows"], item["labels"])
        assert not any(padding.any() for padding in item["padding"])
        for channel in range(3):
            rows, columns = np.nonzero(item["image"][..., channel] > VALUE * 0.6)
            inside = np.zeros(len(rows), bool)
            for x0, y0, x1, y1 in boxes[item["labels"] == channel + 1]:
                inside |= (
                    (columns + 0.5 > x0 - 0.5)
                    & (columns + 0.5 < x1 + 0.5)
                    & (rows + 0.5 > y0 - 0.5)
                    & (rows + 0.5 < y1 + 0.5)
                )
            assert inside.all()


@pytest.mark.parametrize("name", [*MOVING, "copy_paste"])
def test_maps_move_with_the_pixels(name):
    compared = 0
    for item in augmented_images((MOVING | COVERING)[name]):
        sure = item["image"].max(axis=2) > VALUE * 0.95
        np.testing.assert_array_equal(item["mask"][sure], item["image"].argmax(axis=2)[sure] + 1)
        dark = ~item["image"].any(axis=2)
        assert not item["mask"][dark].any()
        compared += sure.sum()
    assert compared > 1000

"""A detector of blobs sees no farther than a blob's edge, so that tiles change nothing for it."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from jaxrcnn.config import (
    Config,
    DataConfig,
    DetectionsConfig,
    EvalConfig,
    ModelConfig,
)
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.loader import eval_batches
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.evaluation.augmented import config_of_views, find_augmented, scaled_configs
from jaxrcnn.evaluation.evaluate import find_each
from jaxrcnn.evaluation.views import TestTime
from jaxrcnn.types import Detections

MOST = 40


def find_blobs(batch):
    """Connected pixels of a channel (the class) as boxes, their brightness as scores."""
    boxes, scores, labels, valid = (
        np.zeros((len(batch.images), MOST, *shape), dtype)
        for shape, dtype in (((4,), np.float32), ((), np.float32), ((), np.int32), ((), bool))
    )
    for n, image in enumerate(batch.images):
        place = 0
        for channel in range(3):
            marked, _ = ndimage.label(image[..., channel])
            for rows, columns in ndimage.find_objects(marked):
                boxes[n, place] = columns.start, rows.start, columns.stop, rows.stop
                scores[n, place] = image[rows, columns, channel].max() / 255
                labels[n, place], valid[n, place] = channel + 1, True
                place += 1
    return Detections(boxes, scores, labels, valid)


def draw(size, blobs):
    """An image with blobs (x0, y0, x1, y1, channel), each of a brightness of its own."""
    image = np.zeros((*size, 3), np.uint8)
    for number, (x0, y0, x1, y1, channel) in enumerate(blobs):
        image[y0:y1, x0:x1, channel] = 250 - 5 * number
    return image


def config(short_side, long_side, **detections):
    return Config(
        model=ModelConfig(detections=DetectionsConfig(**detections)),
        data=DataConfig(short_side=short_side, long_side=long_side),
        eval=EvalConfig(batch_size=4),
    )


def data_set(*images, on_error="raise"):
    return open_images(list(images), ("a", "b", "c"), (1, 2, 3), FaultLog(on_error))


def blobs_of(dataset, config, test_time, seen=None, at_a_time=128):
    def find(views, config):
        def detect(batch):
            if seen is not None:
                seen.append(batch)
            return find_blobs(batch)

        return find_each(detect, eval_batches(views, config), views)

    return dict(find_augmented(find, dataset, config, test_time, at_a_time))


def rows(found):
    return sorted(
        (*box, round(score, 4), label)
        for box, score, label in zip(*(x.tolist() for x in found), strict=True)
    )


def expected(blobs):
    """What is found of drawn blobs, as `rows` has it."""
    return sorted(
        (*map(float, blob[:4]), round(float(np.float32((250 - 5 * n) / 255)), 4), blob[4] + 1)
        for n, blob in enumerate(blobs)
    )


SIZE = (200, 300)
BLOBS = [
    (10, 10, 40, 40, 0),  # in one tile of 100 alone
    (72, 30, 98, 50, 0),  # in the overlap of two, 70..100, whole in both
    (90, 60, 110, 80, 0),  # across the seam at 100
    (60, 150, 80, 170, 1),  # across the seam at 70
    (130, 90, 160, 105, 2),  # across the seam at 100, from top to bottom
    (195, 95, 215, 115, 1),  # where four tiles meet
    (280, 180, 300, 200, 2),  # at the image's border
    (70, 0, 71, 2, 0),  # tiny, at a seam
]


def test_tiles_find_what_the_whole_image_has():
    dataset = data_set(draw(SIZE, BLOBS))
    whole = blobs_of(dataset, config(200, 300), TestTime(flip=True))
    assert rows(whole[0]) == expected(BLOBS)
    for flip in (False, True):
        tiled = blobs_of(dataset, config(100, 100), TestTime(flip, tile=100, overlap=0.3))
        assert rows(tiled[0]) == rows(whole[0])


def test_an_object_larger_than_the_overlap_stays_in_parts():
    blobs = [(50, 20, 180, 60, 0)]  # tiles 0..100, 70..170, 140..240, 200..300
    tiled = blobs_of(data_set(draw(SIZE, blobs)), config(100, 100), TestTime(tile=100, overlap=0.3))
    assert [row[:4] for row in rows(tiled[0])] == [
        (50, 20, 100, 60),
        (70, 20, 170, 60),
        (140, 20, 180, 60),
    ]


def test_an_image_and_its_mirror_image_are_in_one_batch():
    blobs, seen = [(10, 10, 40, 20, 0), (30, 25, 60, 35, 1)], []
    dataset = data_set(draw((40, 64), blobs), draw((40, 64), blobs[:1]))
    found = blobs_of(dataset, config(40, 64), TestTime(flip=True), seen)
    assert [rows(found[n]) for n in (0, 1)] == [expected(blobs), expected(blobs[:1])]
    (batch,) = seen
    for n in (0, 2):
        np.testing.assert_array_equal(batch.images[n + 1, :40, :64], batch.images[n, :40, 63::-1])


def test_what_is_symmetric_is_found_once():
    blobs = [(22, 10, 42, 20, 0)]  # of 64 columns
    found = blobs_of(data_set(draw((40, 64), blobs)), config(40, 64), TestTime(flip=True))
    assert rows(found[0]) == expected(blobs)


def test_every_scale_is_searched_and_has_canvases_of_the_ladder():
    own, shapes = replace(config(40, 80), eval=EvalConfig(batch_size=1)), []
    exact = replace(own, data=replace(own.data, canvas="exact"))
    scaled = scaled_configs(exact, (40, 80))
    assert [(x.data.short_side, x.data.long_side, x.data.canvas) for x in scaled] == [
        (40, 80, "ladder"),
        (80, 160, "ladder"),
    ]
    assert scaled_configs(exact, ()) == [exact]
    blobs, seen = [(10, 8, 40, 20, 0)], []
    found = blobs_of(data_set(draw((40, 60), blobs)), own, TestTime(scales=(40, 80)), seen)
    shapes = [batch.image_sizes[0].tolist() for batch in seen]
    assert shapes == [[40, 60], [80, 120]]
    (row,) = rows(found[0])
    np.testing.assert_allclose(row[:4], blobs[0][:4], atol=0.6)  # Pillow blurs the edge


def test_images_come_in_their_order_whatever_their_number(monkeypatch):
    images = [draw((64, 40) if n % 2 else (40, 64), [(n, 10, n + 5, 20, 0)]) for n in range(5)]
    found = blobs_of(data_set(*images), config(40, 64), TestTime(flip=True), at_a_time=2)
    assert list(found) == list(range(5))
    assert [found[n].boxes[0, 0] for n in range(5)] == list(range(5))


def test_an_image_that_cannot_be_read_has_no_detections():
    dataset = data_set(draw((40, 64), BLOBS[:1]), draw((40, 64), BLOBS[:1]))

    def broken(record):
        if record.image_id == 0:
            raise DataError("broken")
        return dataset.reader(record)

    skip = config(40, 64)
    skip = replace(skip, data=replace(skip.data, on_error="skip"))
    found = blobs_of(replace(dataset, reader=broken), skip, TestTime(flip=True))
    assert list(found) == [1]


def test_with_soft_nms_the_scores_are_lowered_once():
    model = ModelConfig(detections=DetectionsConfig(soft_nms="linear", max_detections=7))
    views = config_of_views(model).detections
    assert (views.soft_nms, views.nms_iou, views.max_detections) == ("none", 1, 1000)
    assert config_of_views(ModelConfig()) == ModelConfig()
    blobs = [(10, 10, 40, 20, 0), (20, 5, 50, 30, 0)]  # touch, so they are one blob
    own = config(40, 64, soft_nms="linear", score_threshold=0.01)
    found = blobs_of(data_set(draw((40, 64), blobs)), own, TestTime(flip=True))
    (row,) = rows(found[0])  # the second view's box loses all of its score
    assert row[:4] == (10, 5, 50, 30)

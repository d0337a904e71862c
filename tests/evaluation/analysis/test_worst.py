import numpy as np

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.analysis.worst import worst_images
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.matching import match_detections

BOX, OTHER, FAR = (0, 0, 100, 100), (200, 0, 300, 100), (500, 0, 600, 100)


def found(*rows):
    boxes, scores, labels = zip(*rows, strict=True)
    return ImageDetections(
        np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels, np.int32)
    )


def make():
    """A perfect image, one with every kind of error, and one with a missed object alone."""
    records = (
        make_record(1, "right", "", (100, 600), [BOX], [1]),
        make_record(2, "wrong", "", (100, 600), [BOX, OTHER, FAR], [1, 2, 1]),
        make_record(3, "missed", "", (100, 600), [BOX], [2]),
    )
    detections = {
        0: found((BOX, 0.9, 1)),
        1: found(
            (BOX, 0.9, 1),
            (BOX, 0.8, 1),  # again
            (OTHER, 0.7, 1),  # it is of class 2
            ((520, 0, 690, 100), 0.6, 1),  # IoU 80 / 190
            ((330, 0, 400, 90), 0.55, 2),  # nothing there
            ((40, 0, 180, 100), 0.5, 2),  # IoU 60 / 180 with an object of class 1
            ((330, 0, 400, 90), 0.1, 1),  # below the threshold
        ),
        2: found((BOX, 0.3, 2)),
    }
    return match_detections(Dataset("three", records, ("cat", "dog")), detections)


def test_the_images_with_the_most_mistakes_come_first_and_each_mistake_has_its_kind():
    worst = worst_images(make(), 0.5, 20)
    assert [one.image for one in worst] == [1, 2]
    assert [mistake.kind for mistake in worst[0].mistakes] == [
        *("duplicate", "classification", "localisation", "background", "both"),
    ]
    assert worst[0].mistakes[1].meant == 2
    np.testing.assert_array_equal(worst[0].right, [BOX])
    (missed,) = worst[1].mistakes
    assert (missed.kind, missed.label, missed.score) == ("missed", 2, None)
    np.testing.assert_array_equal(missed.box, BOX)


def test_so_many_at_most():
    assert [one.image for one in worst_images(make(), 0.5, 1)] == [1]


def test_each_class_may_have_a_threshold_of_its_own():
    worst = worst_images(make(), np.array([0.95, 0.2]), 20)
    # Of class 1 nothing remains: its objects are missed, but for one that is taken for class 2.
    assert [one.image for one in worst] == [1, 0]
    assert [mistake.kind for mistake in worst[0].mistakes] == [
        *("background", "both", "missed", "missed", "missed"),
    ]


def test_what_lies_in_a_region_to_ignore_is_no_mistake():
    record = make_record(1, "crowd", "", (100, 600), [BOX], [1], crowd=[True])
    dataset = Dataset("one", (record,), ("cat",))
    matching = match_detections(dataset, {0: found(((10, 10, 50, 50), 0.9, 1))})
    assert worst_images(matching, 0.5, 20) == []

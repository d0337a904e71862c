import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.voc import voc_metrics

A = (0.0, 0.0, 10.0, 10.0)
B = (100.0, 0.0, 110.0, 10.0)
C = (200.0, 0.0, 210.0, 10.0)
NOWHERE = (300.0, 300.0, 310.0, 310.0)


def dataset(*images, class_names=("cat",)):
    records = [
        make_record(i, "", "", (400, 400), annotation_ids=range(len(image["labels"])), **image)
        for i, image in enumerate(images)
    ]
    return Dataset("test", tuple(records), class_names, tuple(range(1, len(class_names) + 1)))


def cats(boxes, **flags):
    return {"boxes": boxes, "labels": [1] * len(boxes), **flags}


def found(boxes, scores, labels=None):
    labels = [1] * len(boxes) if labels is None else labels
    return ImageDetections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int32),
    )


def area(data, detections, **options):
    return voc_metrics(data, detections, eleven_point=False, **options).get("eval/voc_AP_cat")


def eleven(data, detections):
    return voc_metrics(data, detections, eleven_point=True)["eval/voc_AP_cat"]


def test_perfect_detections_over_two_images():
    data = dataset(cats([A, B]), cats([C]))
    detections = {0: found([A, B], [0.9, 0.8]), 1: found([C], [0.7])}
    assert area(data, detections) == pytest.approx(1)
    assert eleven(data, detections) == pytest.approx(1)


def test_area_and_eleven_points_by_hand():
    # Best first: hit, false, hit, false, and one of three objects is not found.
    data = dataset(cats([A, B]), cats([C]))
    detections = {0: found([B, NOWHERE], [0.7, 0.8]), 1: found([NOWHERE, C], [0.6, 0.9])}
    # Recall 1/3 at precision 1, 2/3 at 2/3.
    assert area(data, detections) == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    # Points 0 .. 0.3 have 1; 0.4, 0.5, 0.6 have 2/3; the rest 0.
    assert eleven(data, detections) == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)


def test_precision_is_made_monotone_from_behind():
    # false, hit, hit: precision 0, 1/2, 2/3, so that recall 1/2 takes 2/3 too.
    detections = {0: found([NOWHERE, A, B], [0.9, 0.8, 0.7])}
    assert area(dataset(cats([A, B])), detections) == pytest.approx(2 / 3)


def test_eleven_points_reach_three_tenths_exactly():
    boxes = [(20.0 * i, 0, 20.0 * i + 10, 10) for i in range(10)]
    detections = {0: found(boxes[:3], [0.9, 0.8, 0.7])}
    assert eleven(dataset(cats(boxes)), detections) == pytest.approx(4 / 11)  # 0, .1, .2, .3


def test_second_hit_of_a_box_is_false():
    # hit, false, hit
    detections = {0: found([A, A, B], [0.9, 0.8, 0.7])}
    assert area(dataset(cats([A, B])), detections) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_the_best_scored_of_two_hits_counts_whatever_their_order():
    # Best first: hit, false, false.
    detections = {0: found([A, NOWHERE, A], [0.5, 0.7, 0.9])}
    assert area(dataset(cats([A])), detections) == pytest.approx(1)


def test_a_hit_goes_to_the_box_of_most_overlap_even_where_that_is_taken():
    # Both detections overlap the first box most, and the second box by more than a half.
    near = (0.0, 3.0, 10.0, 13.0)
    detection = (0.0, 1.0, 10.0, 11.0)  # IoU 9/11 with A, 8/12 with near
    detections = {0: found([detection, detection], [0.9, 0.8])}
    assert area(dataset(cats([A, near])), detections) == pytest.approx(0.5)


def test_equal_overlaps_take_the_first_box():
    detection = (0.0, 1.0, 10.0, 11.0)
    above, below = (0.0, 0.0, 10.0, 10.0), (0.0, 2.0, 10.0, 12.0)  # IoU 9/11 with either
    hard_first = dataset(cats([above, below], difficult=[True, False]))
    hard_last = dataset(cats([above, below], difficult=[False, True]))
    detections = {0: found([detection], [0.9])}
    assert area(hard_first, detections) == 0
    assert area(hard_last, detections) == pytest.approx(1)


@pytest.mark.parametrize("flag", ["difficult", "crowd"])
def test_difficult_boxes_and_crowds_count_neither_way(flag):
    data = dataset(cats([A, B], **{flag: [True, False]}))
    assert area(data, {0: found([A, A, B], [0.9, 0.8, 0.7])}) == pytest.approx(1)
    assert area(data, {0: found([B], [0.7])}) == pytest.approx(1)
    assert area(data, {0: found([A], [0.7])}) == 0


def test_an_overlap_equal_to_the_threshold_is_a_hit():
    half = (0.0, 0.0, 10.0, 5.0)
    data = dataset(cats([A]))
    assert area(data, {0: found([half], [0.9])}) == pytest.approx(1)
    assert area(data, {0: found([half], [0.9])}, iou_threshold=0.51) == 0


def test_equal_scores_keep_the_order_of_images_and_detections():
    data = dataset(cats([A]), cats([B]))
    scores = [0.5, 0.5]
    false_last = {1: found([NOWHERE], [0.5]), 0: found([A], [0.5])}
    false_first = {1: found([B], [0.5]), 0: found([NOWHERE], [0.5])}
    assert area(data, false_last) == pytest.approx(0.5)
    assert area(data, false_first) == pytest.approx(0.25)
    assert area(dataset(cats([A])), {0: found([NOWHERE, A], scores)}) == pytest.approx(0.5)
    assert area(dataset(cats([A])), {0: found([A, NOWHERE], scores)}) == pytest.approx(1)


def test_a_class_without_objects_to_find_is_left_out_of_the_mean():
    data = dataset(
        {"boxes": [A, B, C], "labels": [1, 2, 4], "difficult": [False, False, True]},
        class_names=("cat", "dog", "bird", "cow"),
    )
    values = voc_metrics(
        data,
        {0: found([A, A, B, C], [0.9, 0.9, 0.9, 0.9], [1, 3, 1, 4])},
        eleven_point=False,
    )
    assert values == {
        "eval/mAP": pytest.approx(0.5),
        "eval/voc_AP_cat": pytest.approx(1),
        "eval/voc_AP_dog": 0,
    }
    assert all(type(value) is float for value in values.values())


def test_boxes_of_another_image_or_class_are_no_hit():
    data = dataset(
        {"boxes": [A], "labels": [1]}, {"boxes": [B], "labels": [2]}, class_names=("cat", "dog")
    )
    values = voc_metrics(
        data, {0: found([B], [0.9], [2]), 1: found([B], [0.8], [1])}, eleven_point=True
    )
    assert set(values.values()) == {0.0}


@pytest.mark.parametrize("eleven_point", [False, True])
def test_nothing_found_is_zero_and_nothing_to_find_is_no_number(eleven_point):
    data = dataset(cats([A]))
    for detections in ({}, {0: found([], [])}):
        values = voc_metrics(data, detections, eleven_point=eleven_point)
        assert values == {"eval/mAP": 0, "eval/voc_AP_cat": 0}
    detections = {0: found([A], [0.9])}
    assert voc_metrics(dataset(cats([])), detections, eleven_point=eleven_point) == {}


def test_zero_area_boxes_match_nothing():
    point = (5.0, 5.0, 5.0, 5.0)
    assert area(dataset(cats([A])), {0: found([point], [0.9])}) == 0
    assert area(dataset(cats([point])), {0: found([point], [0.9])}) == 0

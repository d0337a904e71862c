import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation import matching
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.matching import keep_above, match_detections
from tests.evaluation.boxes_by_chance import by_loops, draw

BOX = (10.0, 20.0, 110.0, 120.0)


def dataset(boxes, labels, **marks):
    record = make_record(1, "a.jpg", "", (200, 200), boxes, labels, **marks)
    return Dataset("one", (record,), ("cat", "dog"))


def found(boxes, scores, labels):
    return {
        0: ImageDetections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(scores, np.float32),
            np.array(labels, np.int32),
        )
    }


def rows_of(match):
    """As `by_loops` has them."""
    first = np.searchsorted(match.truth.image, np.arange(match.num_images))
    targets = [
        int(target - first[image]) if target >= 0 else None
        for target, image in zip(match.match, match.found.image, strict=True)
    ]
    columns = (match.found.image, match.found.label, match.found.score)
    plain = (values.tolist() for values in columns)
    return list(zip(*plain, targets, match.is_ignored.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("at_a_time", [3, 2**18])
def test_each_detection_takes_the_free_object_of_its_class_as_plain_loops_say(
    seed, at_a_time, monkeypatch
):
    monkeypatch.setattr(matching, "AT_A_TIME", at_a_time)
    data, detections = draw(seed)
    rows = rows_of(match_detections(data, detections))
    assert rows == by_loops(data, detections)
    assert sum(target is not None for *_, target, _ in rows) > 3


def test_a_better_detection_takes_the_object_and_a_further_one_the_next():
    near, nearer = (10, 20, 110, 121), (10, 20, 110, 120)
    match = match_detections(dataset([BOX], [1]), found([nearer, near], [0.5, 0.9], [1, 1]))
    assert match.found.score.tolist() == pytest.approx([0.9, 0.5])
    assert match.match.tolist() == [0, -1]
    assert match.is_found.tolist() == [True]


def test_an_overlap_of_exactly_a_half_is_enough():
    half = (10, 20, 60, 120)
    assert match_detections(dataset([BOX], [1]), found([half], [0.9], [1])).match.tolist() == [0]
    less = (10, 20, 59.9, 120)
    assert match_detections(dataset([BOX], [1]), found([less], [0.9], [1])).match.tolist() == [-1]


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_what_lies_in_a_region_to_ignore_is_ignored_by_its_class_alone(mark):
    inside, half, outside = (20, 30, 30, 40), (100, 20, 120, 40), (101, 20, 121, 40)
    match = match_detections(
        dataset([BOX], [1], **{mark: [True]}),
        found([inside, half, outside, inside], [0.9, 0.8, 0.7, 0.6], [1, 1, 1, 2]),
    )
    assert match.is_ignored.tolist() == [True, True, False, False]
    assert len(match.truth.label) == 0


def test_only_the_best_detections_of_an_image_count():
    boxes = [BOX] * 5
    match = match_detections(
        dataset([BOX], [1]), found(boxes, [0.1, 0.5, 0.3, 0.9, 0.7], [1] * 5), max_detections=2
    )
    assert match.found.score.tolist() == pytest.approx([0.9, 0.7])


def test_scores_and_boxes_that_are_not_finite_are_left_out_and_counted():
    wrong = (np.nan, 20, 110, 120)
    match = match_detections(
        dataset([BOX], [1]), found([BOX, wrong, BOX, BOX], [np.nan, 0.9, 0.8, np.inf], [1] * 4)
    )
    assert match.left_out == 3
    assert match.found.score.tolist() == pytest.approx([0.8])
    assert match.match.tolist() == [0]


def test_boxes_without_area_overlap_nothing():
    line = (10, 20, 10, 120)
    match = match_detections(dataset([line], [1]), found([line], [0.9], [1]))
    assert match.match.tolist() == [-1]


def test_no_detections_and_no_objects():
    empty = match_detections(dataset([], []), {})
    assert (len(empty.found.label), len(empty.truth.label)) == (0, 0)
    unfound = match_detections(dataset([BOX], [1]), {})
    assert unfound.is_found.tolist() == [False]
    false = match_detections(dataset([], []), found([BOX], [0.9], [1]))
    assert (false.match.tolist(), false.is_ignored.tolist()) == ([-1], [False])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_above_a_score_is_matched_as_if_it_were_all(seed):
    data, detections = draw(seed)
    kept = keep_above(match_detections(data, detections), 0.4)
    assert rows_of(kept) == by_loops(data, detections, lowest=0.4)
    alone = match_detections(
        data,
        {
            index: ImageDetections(*(values[one.scores >= 0.4] for values in one))
            for index, one in detections.items()
        },
    )
    for name in ("match", "crowd_overlap", "same_class"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(alone, name))
    for mine, other in zip(kept.pairs, alone.pairs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_each_class_may_have_a_threshold_of_its_own():
    match = match_detections(
        dataset([BOX], [1]), found([BOX] * 4, [0.9, 0.4, 0.9, 0.4], [1, 1, 2, 2])
    )
    kept = keep_above(match, np.array([0.5, 0.3]))
    assert sorted(kept.found.label.tolist()) == [1, 2, 2]

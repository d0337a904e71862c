import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation import resampling
from jaxrcnn.evaluation.coco import coco_scores, detections_to_coco
from jaxrcnn.evaluation.resampling import find_matches, resampled_precision
from tests.evaluation.boxes_by_chance import draw
from tests.evaluation.test_coco import BOX, OTHER, crowded, dataset, found


def coco_ap(data, detections, most=100):
    """pycocotools' AP; NaN where it has none."""
    metrics = coco_scores(data, detections_to_coco(data, detections), most).metrics
    return metrics.get("eval/AP", np.nan)


def matches_of(data, detections, most=100):
    return find_matches(data, detections_to_coco(data, detections), most)


def copied(data, detections, counts):
    """A data set that really holds each image so many times, and its detections."""
    drawn = [place for place, count in enumerate(counts) for _ in range(count)]
    records = []
    for number, place in enumerate(drawn):
        record = data.records[place]
        fields = {name: getattr(record, name) for name in ("crowd", "difficult", "area")}
        size, boxes, labels = (record.height, record.width), record.boxes, record.labels
        records.append(make_record(number, f"{number}.jpg", "", size, boxes, labels, **fields))
    copy = Dataset("copied", tuple(records), data.class_names, data.category_ids)
    return copy, {n: detections[p] for n, p in enumerate(drawn) if p in detections}


@pytest.mark.parametrize("seed", range(4))
def test_every_image_once_is_pycocotools(seed):
    data, detections = draw(seed, images=30)
    whole = resampled_precision(matches_of(data, detections), np.ones((1, len(data)), int))
    assert whole == pytest.approx([coco_ap(data, detections)], abs=1e-9)


@pytest.mark.parametrize("most", [100, 300])
def test_ties_crowds_difficult_boxes_and_classes_without_objects(most):
    data, detections = crowded()
    matches = matches_of(data, detections, most)
    whole = resampled_precision(matches, np.ones((1, len(data)), int))
    assert whole == pytest.approx([coco_ap(data, detections, most)], abs=1e-9)
    assert len(matches) == len(data.class_names)


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_is_the_data_set_that_has_each_image_so_often(seed):
    data, detections = draw(seed, images=12, steps=10**6)  # no equal scores of two images
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(data), np.full(len(data), 1 / len(data)), 8)
    got = resampled_precision(matches_of(data, detections), counts)
    expected = [coco_ap(*copied(data, detections, one)) for one in counts]
    assert got == pytest.approx(expected, abs=1e-9)


def test_by_hand():
    data = dataset(
        {"boxes": [BOX], "labels": [1]},
        {"boxes": [OTHER], "labels": [1]},
        {"boxes": [], "labels": []},
    )
    detections = {0: found([BOX], [0.9]), 1: found([BOX], [0.95]), 2: found([], [])}
    counts = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 3], [1, 1, 1], [2, 1, 0]])
    # With both images a false detection comes first: precision 1/2 up to recall 1/2, which 51 of
    # the 101 points reach; with image 0 twice 2/3 up to recall 2/3, which 67 points reach.
    expected = [1.0, 0.0, np.nan, 51 / 101 / 2, 67 / 101 * 2 / 3]
    got = resampled_precision(matches_of(data, detections), counts)
    assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_few_draws_at_a_time_change_nothing(monkeypatch):
    data, detections = draw(5, images=10)
    matches = matches_of(data, detections)
    counts = np.random.default_rng(0).integers(0, 3, (9, len(data)))
    at_once = resampled_precision(matches, counts)
    monkeypatch.setattr(resampling, "AT_A_TIME", 1)
    assert np.array_equal(resampled_precision(matches, counts), at_once)


def test_nothing_to_find_is_no_number():
    data, _ = draw(0, images=2)
    nothing = Dataset("none", (), (), ())
    assert np.isnan(resampled_precision(find_matches(nothing, []), np.ones((2, 0), int))).all()
    assert resampled_precision(find_matches(data, []), np.ones((1, 2), int)) == 0.0

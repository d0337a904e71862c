import copy
import json
import pathlib
import sys

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections, coco_scores, detections_to_coco
from jaxrcnn.evaluation.coco_backends import check_backend

SHARED = pathlib.Path(__file__).parents[2].parent / "shared"
BOX = (10.0, 20.0, 110.0, 120.0)  # 100 x 100: large
OTHER = (300.0, 200.0, 400.0, 300.0)


def dataset(*records, class_names=("cat",), category_ids=(7,)):
    """Images as dicts of make_record's arguments, with image ids 100, 101, ..."""
    records = [
        make_record(
            100 + i,
            f"{i}.jpg",
            "",
            (480, 640),
            **{"annotation_ids": range(len(record["labels"])), **record},
        )
        for i, record in enumerate(records)
    ]
    return Dataset("test", tuple(records), class_names, category_ids)


def found(boxes, scores, labels=None):
    labels = [1] * len(boxes) if labels is None else labels
    return ImageDetections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int32),
    )


def metrics(data, detections, *options):
    return coco_scores(data, detections_to_coco(data, detections), *options).metrics


def crowded(images=12, most=25, classes=6):
    """A data set with crowds, difficult boxes and empty images, and detections with ties."""
    rng = np.random.default_rng(0)

    def draw(number):
        sides = np.exp(rng.uniform(np.log(8), np.log(250), (number, 2)))
        corners = rng.uniform(0, 1, (number, 2)) * ([640, 480] - sides)
        boxes = np.concatenate([corners, corners + sides], 1)
        return boxes.astype(np.float32), rng.integers(1, classes, number)  # the last has no object

    records, detections = [], {}
    for index in range(images):
        boxes, labels = draw(0 if index % 5 == 0 else rng.integers(1, most))
        marks = rng.random((2, len(boxes))) < 0.15
        records.append({"boxes": boxes, "labels": labels, "crowd": marks[0], "difficult": marks[1]})
        if index % 6:
            near = boxes + rng.normal(0, 4, boxes.shape).astype(np.float32)
            near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
            others, kinds = draw(rng.integers(0, 300 if index == 1 else 40))
            kinds = np.where(rng.random(len(kinds)) < 0.1, classes, kinds)
            scores = np.round(rng.random(len(near) + len(others)), 1)  # many of one score
            detections[index] = found(
                np.concatenate([near, others]), scores, np.concatenate([labels, kinds])
            )
    names = tuple(f"class {k}" for k in range(classes))
    ids = tuple(range(3 * classes, 0, -3))
    return dataset(*records, class_names=names, category_ids=ids), detections


def test_results_format_has_sparse_category_ids_xywh_and_plain_numbers():
    data = dataset(
        {"boxes": [], "labels": []},
        {"boxes": [BOX], "labels": [2]},
        class_names=("cat", "dog"),
        category_ids=(90, 17),
    )
    results = detections_to_coco(
        data, {1: found([(1.25, 2, 11.5, 22.0625)], [0.75], [2]), 0: found([BOX], [0.5], [1])}
    )
    expected = [
        {"image_id": 100, "category_id": 90, "bbox": [10, 20, 100, 100], "score": 0.5},
        {"image_id": 101, "category_id": 17, "bbox": [1.25, 2, 10.25, 20.062], "score": 0.75},
    ]
    assert results == expected
    assert json.loads(json.dumps(results)) == expected


def test_perfect_detections_have_precision_one_and_absent_sizes_are_left_out():
    data = dataset({"boxes": [BOX], "labels": [1]}, {"boxes": [OTHER], "labels": [1]})
    values = metrics(data, {0: found([BOX], [0.9]), 1: found([OTHER], [0.8])})
    sizes = {"eval/APs", "eval/APm", "eval/ARs", "eval/ARm"}
    names = ("AP", "AP50", "AP75", "APl", "AR1", "AR10", "AR100", "ARl", "AP_cat")
    assert set(values) == {f"eval/{name}" for name in names}
    assert not sizes & set(values)
    assert all(value == pytest.approx(1) for value in values.values())
    assert all(type(value) is float for value in values.values())


def test_one_of_two_found_has_the_51_of_101_recall_points_up_to_a_half():
    data = dataset({"boxes": [BOX, OTHER], "labels": [1, 1]})
    values = metrics(data, {0: found([BOX], [0.9])})
    assert values["eval/AP"] == pytest.approx(51 / 101)
    assert values["eval/AR100"] == pytest.approx(0.5)


def test_a_better_scored_false_detection_halves_the_precision():
    data = dataset({"boxes": [BOX], "labels": [1]})
    values = metrics(data, {0: found([OTHER, BOX], [0.9, 0.8])})
    assert values["eval/AP"] == pytest.approx(0.5)
    assert values["eval/AR1"] == 0  # the one best detection is the false one
    assert values["eval/AR10"] == pytest.approx(1)


def test_overlap_of_78_percent_counts_at_six_of_ten_thresholds():
    data = dataset({"boxes": [BOX], "labels": [1]})
    values = metrics(data, {0: found([(10, 20, 88, 120)], [0.9])})
    assert values["eval/AP"] == pytest.approx(0.6)  # 0.50, 0.55 .. 0.75
    assert values["eval/AP75"] == pytest.approx(1)


def test_detections_in_a_crowd_or_a_difficult_box_count_neither_way():
    boxes, labels = [BOX, (300, 200, 600, 400)], [1, 1]
    inside = [(310, 210, 350, 250), (400, 250, 450, 300)]
    for flag in ("crowd", "difficult"):
        data = dataset({"boxes": boxes, "labels": labels, flag: [False, True]})
        values = metrics(data, {0: found([*inside, BOX], [0.95, 0.9, 0.5])})
        assert values["eval/AP"] == pytest.approx(1), flag
        assert values["eval/AR100"] == pytest.approx(1), flag
    plain = dataset({"boxes": boxes, "labels": labels})
    assert metrics(plain, {0: found([*inside, BOX], [0.95, 0.9, 0.5])})["eval/AP"] < 0.5


def test_sizes_go_by_the_annotated_area():
    data = dataset({"boxes": [BOX], "labels": [1], "area": [900.0]})  # a thin mask in a large box
    values = metrics(data, {0: found([BOX], [0.9])})
    assert values["eval/APs"] == pytest.approx(1)
    assert "eval/APl" not in values


def test_classes_are_named_by_category_id_and_those_without_objects_left_out():
    data = dataset(
        {"boxes": [BOX, OTHER], "labels": [1, 3]},
        class_names=("zebra", "bird", "traffic light"),
        category_ids=(90, 40, 3),
    )
    values = metrics(data, {0: found([BOX, BOX], [0.9, 0.9], [1, 2])})
    classes = {key: value for key, value in values.items() if key.startswith("eval/AP_")}
    assert classes == {"eval/AP_zebra": pytest.approx(1), "eval/AP_traffic light": 0}
    assert values["eval/AP"] == pytest.approx(0.5)  # bird has no objects and is not in the mean


def test_no_detections_are_zeros():
    data = dataset({"boxes": [BOX], "labels": [1]}, {"boxes": [], "labels": []})
    for detections in ({}, {0: found([], []), 1: found([], [])}):
        values = metrics(data, detections)
        assert {"eval/AP", "eval/AR100", "eval/AP_cat"} <= set(values)
        assert set(values.values()) == {0.0}


def test_no_objects_are_no_numbers():
    data = dataset({"boxes": [], "labels": []})
    assert metrics(data, {0: found([BOX], [0.9])}) == {}
    assert coco_scores(dataset(), []).metrics == {}


def test_results_are_left_as_they_are():
    data = dataset({"boxes": [BOX], "labels": [1]})
    results = detections_to_coco(data, {0: found([BOX], [0.9])})
    before = copy.deepcopy(results)
    coco_scores(data, results)
    assert results == before


def test_nothing_is_printed(capsys):
    metrics(dataset({"boxes": [BOX], "labels": [1]}), {0: found([BOX], [0.9])})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("field", "value"), [("image_id", 5), ("category_id", 1)])
def test_unknown_ids_are_refused(field, value):
    data = dataset({"boxes": [BOX], "labels": [1]})
    results = detections_to_coco(data, {0: found([BOX], [0.9])})
    with pytest.raises(ValueError, match=field):
        coco_scores(data, [{**results[0], field: value}])


def test_each_class_has_its_precision_by_size_and_overlap_where_it_has_objects():
    small = (10, 20, 30, 40)
    data = dataset(
        {"boxes": [BOX, small, OTHER], "labels": [1, 1, 2]},
        class_names=("cat", "dog", "bird"),
        category_ids=(7, 8, 9),
    )
    worse = (10, 20, 88, 120)  # IoU .78: six of ten thresholds
    scores = coco_scores(
        data, detections_to_coco(data, {0: found([worse, small], [0.9, 0.8], [1, 1])})
    )
    assert scores.classes["cat"] == pytest.approx(
        {"AP": (6 * 1 + 4 * 51 / 101 * 0.5) / 10, "AP50": 1, "AP75": 1, "APs": 1, "APl": 0.6}
    )
    assert scores.classes["dog"] == {"AP": 0, "AP50": 0, "AP75": 0, "APl": 0}
    assert scores.classes["bird"] == {}
    assert scores.metrics["eval/AP_cat"] == scores.classes["cat"]["AP"]
    assert "eval/AP_bird" not in scores.metrics


@pytest.mark.parametrize("most", [100, 300])
def test_the_faster_backend_has_the_same_numbers(most):
    pytest.importorskip("faster_coco_eval")
    data, detections = crowded()
    expected = metrics(data, detections, most)
    values = metrics(data, detections, most, "faster_coco_eval")
    assert list(values) == list(expected)
    np.testing.assert_allclose(list(values.values()), list(expected.values()), rtol=0, atol=1e-12)
    assert 0.05 < expected["eval/AP"] < 0.95
    assert len(expected) == 12 + 5  # the sixth class has no objects


def test_the_faster_backend_has_the_same_numbers_where_there_is_nothing():
    pytest.importorskip("faster_coco_eval")
    truth = dataset({"boxes": [BOX], "labels": [1]}, {"boxes": [], "labels": []})
    empty = dataset({"boxes": [], "labels": []})
    for data, detections in ((truth, {}), (empty, {}), (empty, {0: found([BOX], [0.9])})):
        expected = metrics(data, detections)
        assert metrics(data, detections, 100, "faster_coco_eval") == expected
    assert coco_scores(dataset(), [], 100, "faster_coco_eval").metrics == {}


def test_more_than_a_hundred_detections_of_an_image_count_where_asked_for():
    rows, columns = np.divmod(np.arange(150), 15)
    corners = np.stack([20 + 40 * columns, 20 + 40 * rows], 1)
    boxes = np.concatenate([corners, corners + 30], 1).astype(np.float32)
    data = dataset({"boxes": boxes, "labels": [1] * 150})
    detections = {0: found(boxes, np.linspace(0.9, 0.1, 150))}
    default, more = metrics(data, detections), metrics(data, detections, 300)
    assert default["eval/AR100"] == pytest.approx(100 / 150)
    assert default["eval/AP"] == pytest.approx(67 / 101)  # recalls 0, 0.01 .. 0.66
    assert more["eval/AR300"] == more["eval/AP"] == more["eval/AP50"] == pytest.approx(1)
    assert more["eval/AR10"] == default["eval/AR10"] == pytest.approx(10 / 150)
    assert "eval/AR100" not in more


def test_numbers_that_are_not_finite_are_faults_of_their_image():
    data = dataset({"boxes": [BOX], "labels": [1]}, {"boxes": [BOX], "labels": [1]})
    good = found([BOX], [0.5])
    for value in (np.nan, np.inf):
        bad = {0: good, 1: found([OTHER, BOX, BOX], [0.5, value, value])}
        with pytest.raises(DataError, match=r"image 1\.jpg: 2 detections with a score that is not"):
            detections_to_coco(data, bad)
        bad = {0: good, 1: found([(value, *BOX[1:])], [0.5])}
        with pytest.raises(DataError, match=r"image 1\.jpg: 1 detection with a box that is not"):
            detections_to_coco(data, bad)
        (row,) = detections_to_coco(data, {1: good})
        with pytest.raises(ValueError, match="image 101: a score or a box is not finite"):
            coco_scores(data, [{**row, "score": value}])


def test_boxes_and_scores_are_rounded_as_python_rounds():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 3000, (5000, 4)).astype(np.float32)
    boxes[:1000] = np.round(boxes[:1000]) + 0.0625  # 0.0625 lies in the middle, to the even digit
    scores = rng.uniform(size=5000).astype(np.float32)
    data = dataset({"boxes": [], "labels": []})
    for row, (x0, y0, x1, y1), score in zip(
        detections_to_coco(data, {0: found(boxes, scores)}),
        boxes.tolist(),
        scores.tolist(),
        strict=True,
    ):
        assert row["bbox"] == [round(x, 3) for x in (x0, y0, x1 - x0, y1 - y0)]
        assert row["score"] == round(score, 7)


def test_a_backend_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    check_backend("pycocotools")
    with pytest.raises(ConfigError, match=r"eval\.backend=.*pip install 'jaxrcnn\[fast\]'"):
        check_backend("faster_coco_eval")


def test_equals_pycocotools_on_the_files_of_coco_mini():
    path = SHARED / "data/coco_mini/annotations/instances_val2017.json"
    if not path.exists():
        pytest.skip("needs shared/data/coco_mini")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(path))
    labels = {category_id: k for k, category_id in enumerate(sorted(truth.cats), 1)}
    records, detections = [], {}
    rng = np.random.default_rng(0)
    for i, (image_id, image) in enumerate(sorted(truth.imgs.items())):
        notes = truth.imgToAnns[image_id]
        boxes = np.array([note["bbox"] for note in notes], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        kinds = [labels[note["category_id"]] for note in notes]
        records.append(
            make_record(
                image_id,
                image["file_name"],
                "",
                (image["height"], image["width"]),
                boxes,
                kinds,
                [note["id"] for note in notes],
                crowd=[bool(note["iscrowd"]) for note in notes],
                area=[note["area"] for note in notes],
            )
        )
        near = np.concatenate([boxes, boxes]) + rng.normal(0, 3, (2 * len(boxes), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        detections[i] = found(near, rng.uniform(size=len(near)), kinds * 2)
    names = tuple(truth.cats[category_id]["name"] for category_id in labels)
    data = Dataset("val", tuple(records), names, tuple(labels))

    results = detections_to_coco(data, detections)
    expected = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "bbox")
    expected.evaluate()
    expected.accumulate()
    expected.summarize()
    values = list(coco_scores(data, results).metrics.values())[:12]
    np.testing.assert_allclose(values, expected.stats, rtol=0, atol=1e-4)
    assert 0.1 < values[0] < 0.9

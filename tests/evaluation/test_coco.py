import copy
import json
import pathlib

import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections, coco_metrics, detections_to_coco

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


def metrics(data, detections):
    return coco_metrics(data, detections_to_coco(data, detections))


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
    assert coco_metrics(dataset(), []) == {}


def test_results_are_left_as_they_are():
    data = dataset({"boxes": [BOX], "labels": [1]})
    results = detections_to_coco(data, {0: found([BOX], [0.9])})
    before = copy.deepcopy(results)
    coco_metrics(data, results)
    assert results == before


def test_nothing_is_printed(capsys):
    metrics(dataset({"boxes": [BOX], "labels": [1]}), {0: found([BOX], [0.9])})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("field", "value"), [("image_id", 5), ("category_id", 1)])
def test_unknown_ids_are_refused(field, value):
    data = dataset({"boxes": [BOX], "labels": [1]})
    results = detections_to_coco(data, {0: found([BOX], [0.9])})
    with pytest.raises(ValueError, match=field):
        coco_metrics(data, [{**results[0], field: value}])


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
    values = list(coco_metrics(data, results).values())[:12]
    np.testing.assert_allclose(values, expected.stats, rtol=0, atol=1e-4)
    assert 0.1 < values[0] < 0.9

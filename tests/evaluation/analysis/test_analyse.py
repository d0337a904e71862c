import json

import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.analysis.analyse import analyse, to_json
from jaxrcnn.evaluation.coco import ImageDetections, coco_scores, detections_to_coco
from tests.evaluation.boxes_by_chance import draw

NOTHING = Dataset("empty", (make_record(1, "a", "", (20, 20), [], []),), ("cat",))
NO_IMAGES = Dataset("none", (), ("cat",))
FALSE = {
    0: ImageDetections(
        np.array([[0, 0, 9, 9]], np.float32), np.array([0.9], np.float32), np.array([1], np.int32)
    )
}


def explain(dataset, found, covers=None):
    """analysis.json, written and read again."""
    scores = coco_scores(dataset, detections_to_coco(dataset, found))
    content = to_json(analyse(dataset, found, covers), dataset, scores.metrics, scores.classes, 40)
    return json.loads(json.dumps(content, allow_nan=False))


def test_the_file_holds_what_the_parts_found():
    dataset, found = draw(0)
    covers = {i: np.ones((~record.crowd).sum()) for i, record in enumerate(dataset.records)}
    content, analysis = explain(dataset, found, covers), analyse(dataset, found, covers)
    assert (content["format"], content["step"], content["images"]) == (1, 40, 6)
    assert content["metrics"]["eval/AP50"] > 0.1
    first = content["classes"]["class 1"]
    assert first["AP"] == content["metrics"]["eval/AP_class 1"]
    assert first["threshold"] == analysis.curves.best[0].score == analysis.thresholds[0]
    assert content["tide"]["lost"].keys() == content["tide"]["counts"].keys()
    assert content["confusion"]["names"] == ["class 1", "class 2", "class 3", "background"]
    assert content["confusion"]["matrix"] == analysis.confusion.tolist()
    assert len(content["curves"]["scores"]) == len(content["curves"]["classes"]["class 1"]["f1"])
    assert content["recall"]["all"]["all"]["proposals"] == [1, 1]
    mistakes = [one["mistakes"] for one in content["worst"]]
    assert [len(one) for one in mistakes] == sorted(map(len, mistakes), reverse=True)


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        (NOTHING, {}),
        (NOTHING, FALSE),
        (NO_IMAGES, {}),
        (Dataset("no classes", (), ()), {}),
        (draw(0, classes=1)[0], {}),
        (draw(0, crowds=1)[0], draw(0)[1]),
    ],
    ids=["nothing", "no objects", "no images", "no classes", "no detections", "only crowds"],
)
def test_numbers_that_do_not_exist_are_null(dataset, found):
    content = explain(dataset, found)
    for one in content["classes"].values():
        assert one["threshold"] is one["f1"] is None
    assert content["recall"]["all"]["all"]["proposals"] == [None, None]
    if not found:
        assert content["calibration"]["error"] is None
    objects = content["objects"]
    assert (content["tide"]["ap"] is None) == (not objects and not found)
    assert content["recall"]["all"]["all"]["own_class"] == ([0, 0] if objects else [None, None])

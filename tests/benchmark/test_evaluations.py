import pytest

from jaxrcnn.benchmark import evaluations
from jaxrcnn.benchmark.evaluations import draw_evaluation, evaluation_rates
from jaxrcnn.benchmark.suites import evaluation
from jaxrcnn.evaluation.coco import coco_scores, detections_to_coco


@pytest.fixture(scope="module")
def drawn():
    return draw_evaluation(40)


def test_the_data_have_what_an_evaluation_has(drawn):
    dataset, found = drawn
    assert len(dataset) == len(found) == 40
    assert len(dataset.class_names) == 80
    assert 5 < len(dataset.columns.boxes) / 40 < 9
    assert dataset.columns.crowd.any()
    height, width = evaluations.SIZE
    assert (dataset.columns.boxes <= [width, height, width, height]).all()
    metrics = coco_scores(dataset, detections_to_coco(dataset, found)).metrics
    assert 0.1 < metrics["eval/AP"] < 0.9
    assert metrics["eval/APs"] < metrics["eval/APl"]  # the same noise is more of a small box


def test_every_backend_that_is_installed_is_timed(drawn, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluations, "coco_scores", lambda *_, backend: asked.append(backend) or {})
    clock = iter([1.0, 3.0, 10.0, 15.0, 20.0, 21.0])
    monkeypatch.setattr(evaluations.time, "perf_counter", lambda: next(clock))
    rates = evaluation_rates(*drawn)
    assert rates.prepare == 2
    assert rates.detections == sum(len(one.scores) for one in drawn[1].values())
    assert rates.backends == {"pycocotools": 5, "faster_coco_eval": 1}
    assert list(rates.backends) == asked


def test_the_table_compares_them_with_their_preparation(monkeypatch):
    monkeypatch.setattr(evaluations, "IMAGES", 4)
    rates = evaluations.Rates(99, 1.0, {"pycocotools": 7.0, "faster_coco_eval": 1.0})
    monkeypatch.setattr(evaluations, "evaluation_rates", lambda *_: rates)
    (section,) = evaluation(None)
    assert section.title.startswith("eval: 99 detections on 4 images")
    assert [row[-1] for row in section.rows] == ["ratio", "", "1.00 x", "4.00 x"]
    assert section.numbers["faster_coco_eval"]["images_per_second"] == 2

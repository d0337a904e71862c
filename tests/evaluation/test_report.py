"""The page and the numbers of a report; what they hold is tested in tests/evaluation/analysis/."""

import json
import re

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections, coco_scores, detections_to_coco
from jaxrcnn.evaluation.report import write_report
from tests.evaluation.boxes_by_chance import draw

TITLES = (
    "What each kind of error costs",
    "Which stage loses objects",
    "Classes",
    "Precision and recall by score threshold",
    "Confusion matrix",
    "Calibration",
    "Images with the most mistakes",
)


def grey(record):
    return np.full((record.height, record.width, 3), 90, np.uint8)


def with_images(dataset, reader=grey, class_names=()):
    return Dataset("drawn", dataset.records, class_names or dataset.class_names, reader=reader)


def report(folder, dataset, found, **options):
    """The numbers and the page."""
    scores = coco_scores(dataset, detections_to_coco(dataset, found))
    numbers, page = write_report(folder, dataset, found, scores, **options)
    assert (numbers.name, page.name) == ("analysis.json", "report.html")
    return json.loads(numbers.read_text()), page.read_text(encoding="utf-8")


def text_of(page):
    """What a person reads, without the style."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S).split())


def test_the_page_says_where_the_score_is_lost_and_needs_no_other_file(tmp_path):
    dataset, found = draw(4)
    covers = {i: np.ones((~record.crowd).sum()) for i, record in enumerate(dataset.records)}
    content, page = report(
        *(tmp_path / "eval", with_images(dataset), found),
        covers=covers,
        title="a run, step 40",
        step=40,
    )
    text = text_of(page)
    assert [text.index(title) for title in TITLES] == sorted(text.index(t) for t in TITLES)
    assert "a run, step 40: evaluation" in text
    assert content["step"] == 40
    lost = content["tide"]["lost"]
    worst = max(lost, key=lost.get)
    assert f"{worst} {lost[worst]:.3f}" in text
    assert f"AP50 is {content['tide']['ap']:.3f}" in text
    assert re.search(r"all \d+ \d+ \d+ \d+ 0 1\.000 1\.000", text)  # none lost by the first stage
    matrix = content["confusion"]["matrix"]
    assert "class 1 " + " ".join(map(str, matrix[0])) in text
    assert f"D-ECE: {content['calibration']['error']:.3f}" in text
    assert content["worst"][0]["file_name"] + ": " in text
    assert page.count("data:image/jpeg") == len(content["worst"])
    assert page.count("data:image/png") == 2
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)


def test_without_proposals_the_page_says_that_it_cannot_know_the_stage(tmp_path):
    dataset, found = draw(4)
    _, page = report(tmp_path, with_images(dataset), found)
    assert "it cannot be said which stage lost the others" in text_of(page)
    assert "proposals 0.5" not in page


def test_a_report_replaces_the_one_before(tmp_path):
    dataset, found = draw(4)
    report(tmp_path, with_images(dataset), found, step=40)
    content, _ = report(tmp_path, with_images(dataset), {}, step=80)
    assert (content["step"], content["detections"]) == (80, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["analysis.json", "report.html"]


EMPTY = Dataset("empty", (make_record(1, "a", "", (20, 20), [], []),), ("cat",), reader=grey)
FALSE = {
    0: ImageDetections(
        np.array([[0, 0, 9, 9]], np.float32), np.array([0.9], np.float32), np.array([1], np.int32)
    )
}


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        (EMPTY, {}),
        (EMPTY, FALSE),
        (Dataset("none", (), ("cat",)), {}),
        (with_images(draw(4, classes=1)[0]), {}),
    ],
    ids=["nothing", "no objects", "no images", "no detections"],
)
def test_where_there_are_no_numbers_there_are_dashes(tmp_path, dataset, found):
    _, page = report(tmp_path, dataset, found)
    text = text_of(page)
    assert all(title in text for title in TITLES)
    assert "\N{EN DASH}" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_names_are_text_and_no_markup_or_formula(tmp_path):
    dataset, found = draw(4)
    names = ("<b>a & b</b>", "$x_", "猫")
    _, page = report(tmp_path, with_images(dataset, class_names=names), found, title="<i>")
    assert "<b>a" not in page
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page


def test_many_classes_have_a_list_in_place_of_the_matrix(tmp_path):
    dataset, found = draw(4)
    names = (*dataset.class_names, *(f"more {number}" for number in range(30)))
    text = text_of(report(tmp_path, with_images(dataset, class_names=names), found)[1])
    assert "The most frequent confusions of 33 classes" in text
    assert "Rows are the classes" not in text


def unreadable(record):
    raise DataError(f"{record.name}: broken")


def test_an_image_that_cannot_be_read_is_named_without_being_drawn(tmp_path):
    dataset, found = draw(4)
    content, page = report(tmp_path, with_images(dataset, unreadable), found)
    assert page.count("data:image/jpeg") == 0
    assert text_of(page).count("the image cannot be read") == len(content["worst"]) > 0

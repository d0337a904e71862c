"""check.json and check.html of a set with planted faults."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.checking.drawing import TRIED, _mark, draw_faults, draw_rotated
from jaxrcnn.checking.findings import Report, find, fingerprint
from jaxrcnn.checking.kinds import KINDS
from jaxrcnn.checking.lines import describe_report
from jaxrcnn.checking.report import render, to_tree, write_report
from jaxrcnn.checking.splits import read_splits
from jaxrcnn.data.errors import DataError, Fault
from tests.checking.planted import Planter, plant_all, read_tables, write_set, write_tables
from tests.checking.test_findings import config_of
from tests.study.test_report import BROWSER, Page, browse


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    write_set(root / "set")
    planter = Planter(root / "set")
    plant_all(planter, root / "elsewhere")
    config = config_of(root / "set")
    findings = find(list(read_splits(config)), 1, lambda _: None)
    return Report(config, findings, None, fingerprint(config)), planter.expected


def test_the_files_list_every_fault(planted, tmp_path):
    report, expected = planted
    written = write_report(report, tmp_path / "new")
    assert [path.name for path in written] == ["check.json", "check.html"]
    tree = json.loads(written[0].read_text(), parse_constant=pytest.fail)
    found = [(each["split"], each["kind"], each["record"]) for each in tree["faults"]]
    assert sorted(found) == sorted(expected)
    assert sum(tree["fault_counts"].values()) == len(expected)
    assert all(each["remedy"] and each["what"] and each["file"] for each in tree["faults"])
    assert [each["role"] for each in tree["splits"]] == ["train", "eval"]
    assert tree["splits"][0]["classes"]["cat"]["boxes"] > 20
    assert set(tree["fingerprint"]) == {"training", "evaluation"}
    page = Page(written[1].read_text())
    assert page.open == []
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert len(page.addresses) > 20
    for kind in tree["fault_counts"]:
        assert f"{KINDS[kind].title} {kind}" in page.text
    for fault in tree["faults"]:
        assert " ".join(fault["what"].split()) in page.text


def test_the_terminal_says_what_is_wrong_and_what_to_do(planted):
    report, expected = planted
    lines = list(describe_report(report))
    assert f"{len(expected)} faults:" in lines
    assert "  3 x image-outside: image outside of the data set's folder" in lines
    assert f"      what to do: {KINDS['image-outside'].remedy}" in lines
    assert lines[-1].endswith("without the faulty records (data.on_error=skip)")


def test_the_terminal_says_how_a_split_was_read_and_what_is_ignored(tmp_path):
    write_set(tmp_path)
    tables = read_tables(tmp_path, "train")
    for one in tables["annotations"]:
        one["iscrowd"] = 1
    for one in (*tables["images"], *tables["annotations"]):
        key = "image_id" if "image_id" in one else "id"
        one[key] = f"no {one[key]}"
    write_tables(tmp_path, "train", tables)
    config = config_of(tmp_path)
    findings = find(list(read_splits(config)), 1, lambda _: None)
    lines = list(describe_report(Report(config, findings, None, fingerprint(config))))
    assert any(line.startswith("train: 32 images, 64 boxes (64 to ignore), 0") for line in lines)
    assert any(line.startswith("val: 4 images, 8 boxes, 0") for line in lines)
    assert [line for line in lines if "note: " in line] == [
        "  note: image ids are strings: images are numbered from 1 in their order",
        "  note: all boxes are crowds or marked to be ignored, so none is trained on",
    ]


def test_rotated_images_are_counted_and_shown(planted):
    report, expected = planted
    assert [each["rotated_images"] for each in to_tree(report)["splits"]] == [2, 0]
    assert any("  2 images rotated by an EXIF tag" in line for line in describe_report(report))
    names = [name for _, name in draw_rotated(report.findings)]
    records = [record for _, kind, record in expected if kind == "image-exif"]
    assert [record.split("(")[1] for record in records] == [f"{name})" for name in names]


def test_all_text_of_the_page_is_escaped(planted):
    report, _ = planted
    (first, *rest), name = report.findings.splits, "<script>alert(1)</script>"
    fault = first.faults[0]._replace(what=name, record=name, file=name)
    changed = first._replace(split=first.split._replace(name=name), faults=[fault])
    page = Page(render(report._replace(findings=report.findings._replace(splits=[changed, *rest]))))
    assert "script" not in page.tags
    assert page.text.count(name) >= 4


def test_a_set_that_cannot_be_read_has_a_page_too(tmp_path):
    write_set(tmp_path / "set")
    for split in ("train", "val"):
        (tmp_path / f"set/annotations/instances_{split}.json").write_text('{"images": []}')
    config = config_of(tmp_path / "set")
    findings = find(list(read_splits(config)), 1, lambda _: None)
    report = Report(config, findings, None, fingerprint(config))
    assert [fault.kind for _, fault in findings.faults] == ["split-unreadable"] * 2
    assert "2 faults" in Page(render(report)).text
    assert "none" in to_tree(report)["fingerprint"]


def test_a_box_outside_of_its_image_is_drawn_on_a_larger_one():
    drawn = _mark(np.zeros((40, 60, 3), np.uint8), np.array([[50.0, 10, 70, 20]]))
    assert drawn.shape == (40, 70, 3)
    assert (drawn[30, 65] == 128).all()  # what was added
    assert (drawn[30, 55] == 0).all()
    assert (drawn[:, :, 0] == 220).any()
    far = _mark(np.zeros((40, 60, 3), np.uint8), np.array([[-500.0, 10, -490, 20]]))
    assert far.shape == (40, 90, 3)  # by half of its width at most


def test_of_thousands_of_unreadable_images_few_are_tried(planted, monkeypatch):
    tried = []
    monkeypatch.setattr("jaxrcnn.checking.drawing.read_image", lambda file: unreadable(tried, file))
    findings = planted[0].findings
    torn = Fault("image-damaged", "a.json", "image 1", "is torn", "")
    faults = [torn._replace(image=f"{place}.jpg") for place in range(1000)]
    splits = [findings.splits[0]._replace(faults=faults)]
    assert draw_faults(findings._replace(splits=splits, classes=[])) == {"image-damaged": []}
    assert len(tried) == TRIED


def test_an_image_with_many_faults_of_a_kind_is_drawn_once_with_all_of_their_boxes(
    planted, tmp_path, monkeypatch
):
    marked = []
    monkeypatch.setattr(
        "jaxrcnn.checking.drawing._mark",
        lambda pixels, boxes: marked.append(boxes.tolist()) or pixels,
    )
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for name in names:
        Image.new("RGB", (60, 40)).save(name)
    boxes = [(x, 5.0, x - 3, 9.0) for x in (10.0, 20.0, 30.0)]
    inverted = [
        Fault("box-inverted", "a.txt", f"line {line}", "is inverted", "", names[line == 3], box)
        for line, box in enumerate(boxes, 1)
    ]
    outside = inverted[0]._replace(kind="box-outside", record="image 7 (a.png)")
    findings = planted[0].findings
    splits = [findings.splits[0]._replace(faults=[*inverted, outside])]
    drawn = draw_faults(findings._replace(splits=splits, classes=[]))
    assert {kind: [caption for _, caption in own] for kind, own in drawn.items()} == {
        "box-inverted": ["train: image a.png, 2 faults", "train: image b.png, line 3"],
        "box-outside": ["train: image 7 (a.png)"],
    }
    assert marked == [[list(x) for x in boxes[:2]], [list(boxes[2])], [list(boxes[0])]]


def unreadable(tried, file):
    tried.append(file)
    raise DataError(f"{file}: is torn")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_shows_the_page(planted, tmp_path):
    path = write_report(planted[0], tmp_path / "page")[1]
    sheet = tmp_path / "page.png"
    browse([f"--screenshot={sheet}", "--window-size=1200,2000"], path, tmp_path)
    with Image.open(sheet) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)

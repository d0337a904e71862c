"""Boxes that are written in another way than they are read, in each format that can have them."""

import json

import pytest

from jaxrcnn.checking.findings import find
from jaxrcnn.checking.splits import read_splits
from jaxrcnn.config import Config, DataConfig
from tests.data import voc_files
from tests.data.folders import write

RIGHT = [(3, 4, 20, 22), (18, 8, 27, 28), (25, 2, 33, 12), (22, 9, 30, 27), (21, 15, 39, 29)]
"""Corners of boxes in images of 40 x 30 pixels."""
SIDES = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in RIGHT]


def faults_of(root, name):
    data = DataConfig(format=name, root=str(root), train_splits=("train",), eval_split="train")
    findings = find(list(read_splits(Config(data=data))), 1, lambda _: None)
    return [fault for _, fault in findings.faults]


def kinds_of(root, name):
    return [fault.kind for fault in faults_of(root, name)]


def images_of(number):
    """Images that differ, since those that do not are a fault of their own."""
    return {f"train/{place}.ppm": ppm(place) for place in range(number)}


def ppm(value):
    return b"P6 40 30 255\n" + bytes([value]) * (40 * 30 * 3)


def write_table(root, boxes):
    rows = [f"train/{i}.ppm,cat,{','.join(map(str, box))}" for i, box in enumerate(boxes)]
    table = "\n".join(["filename,class,xmin,ymin,xmax,ymax", *rows])
    write(root, {"train.csv": table, **images_of(len(boxes))})


def write_jsonl(root, boxes):
    lines = [
        json.dumps({"file_name": f"{i}.ppm", "objects": {"bbox": [box], "categories": ["cat"]}})
        for i, box in enumerate(boxes)
    ]
    write(root, {"train/metadata.jsonl": "\n".join(lines), **images_of(len(boxes))})


def write_coco(root, boxes):
    images = [
        {"id": i, "file_name": f"{i}.ppm", "width": 40, "height": 30} for i in range(len(boxes))
    ]
    annotations = [
        {"id": i + 1, "image_id": i, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)
    ]
    categories = [{"id": 1, "name": "cat"}]
    tables = {"images": images, "annotations": annotations, "categories": categories}
    file = {"annotations/instances_train.json": json.dumps(tables)}
    write(root, {**file, **images_of(len(boxes))})


@pytest.mark.parametrize(
    ("name", "put", "right", "wrong", "kind"),
    [
        ("table", write_table, RIGHT, SIDES, "boxes-xywh"),
        ("imagefolder", write_jsonl, SIDES, RIGHT, "boxes-corners"),
        ("coco", write_coco, SIDES, RIGHT, "boxes-corners"),
    ],
)
def test_corners_and_sides_are_told_apart(tmp_path, name, put, right, wrong, kind):
    put(tmp_path / "right", right)
    assert kinds_of(tmp_path / "right", name) == []
    put(tmp_path / "wrong", wrong)
    (fault,) = faults_of(tmp_path / "wrong", name)
    assert fault.kind == kind
    assert fault.record == "split train"
    # 4 of 5 in each case: by hand, the first as sides, and the first as corners, are right too
    assert fault.what.startswith("80% of the 5 boxes are inverted or outside of their images")
    assert "100% fit as" in fault.what


def test_corners_and_sides_are_told_apart_in_voc(tmp_path):
    pages = {f"p{i}": voc_files.item(corners=box) for i, box in enumerate(SIDES)}
    voc_files.write(tmp_path, pages)
    for i in range(len(SIDES)):
        (tmp_path / f"JPEGImages/p{i}.jpg").unlink()
        (tmp_path / f"JPEGImages/p{i}.ppm").write_bytes(ppm(i))
    assert kinds_of(tmp_path, "voc") == ["boxes-xywh"]


def test_a_few_boxes_at_fault_stay_faults_of_their_own(tmp_path):
    write_table(tmp_path, [*RIGHT, SIDES[1], SIDES[2]])
    found = faults_of(tmp_path, "table")
    assert [fault.kind for fault in found] == ["box-inverted"] * 2
    assert [fault.box for fault in found] == [SIDES[1], SIDES[2]]
    assert all(fault.image.endswith(".ppm") for fault in found)


def test_faults_of_yolos_labels(tmp_path):
    labels = {
        "labels/train/0.txt": "0 .5 .5 .2 .2\n0 320 200 40 40",
        "labels/train/1.txt": "3 .5 .5 .2 .2",
        "labels/train/2.txt": "0 .5 .5 .2",
        "labels/train/3.txt": "0 .5 .5 0 .2",
        "labels/train/4.txt": "0 .9 .5 .6 .2",
        "labels/train/5.txt": b"\xff\xfe\xff",
    }
    images = {f"images/train/{place}.ppm": ppm(place) for place in range(6)}
    write(tmp_path, {"classes.txt": "cat", **labels, **images})
    found = [(fault.kind, fault.record) for fault in faults_of(tmp_path, "yolo")]
    assert sorted(found) == [
        ("annotation-unreadable", "image images/train/5.ppm"),
        ("box-empty", "line 1"),
        ("box-in-pixels", "line 2"),
        ("box-reaches-out", "line 1"),
        ("class-unknown", "line 1"),
        ("record-invalid", "line 1"),
    ]

import json

import pytest

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_folder_metadata import read_metadata
from tests.data.folders import write


def read(root, *lines, names=(), on_error="raise"):
    """The entries of metadata.jsonl, and the lines of faults."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    write(root, {"metadata.jsonl": text})
    log = FaultLog(on_error)
    return read_metadata(str(root / "metadata.jsonl"), names, log), log.lines


def objects(root, value, **options):
    (entry,), _ = read(root, {"file_name": "a.png", "objects": value}, **options)
    return [(box.name, *box.corners) for box in entry.boxes], [fault.what for fault in entry.faults]


def test_images_are_sorted_by_name_and_know_their_lines(tmp_path):
    lines = ({"file_name": "./b.png", "text": "x"}, "", {"image": "c\\a.png", "objects": None})
    entries, _ = read(tmp_path, *lines)
    assert [(entry.name, entry.where) for entry in entries] == [
        ("b.png", "line 1"),
        ("c/a.png", "line 3"),
    ]
    assert all(entry.boxes == [] for entry in entries)


@pytest.mark.parametrize("key", ["categories", "category", "label", "labels"])
def test_boxes_are_x_y_width_and_height(tmp_path, key):
    value = {"bbox": [[1, 2, 3.5, 4], [0, 0, 1, 1]], key: ["big dog", "cat"], "id": [7, 8]}
    boxes, _ = objects(tmp_path, value)
    assert boxes == [("big dog", 1, 2, 4.5, 6), ("cat", 0, 0, 1, 1)]


def test_objects_may_be_a_list(tmp_path):
    value = [{"bbox": [1, 2, 3, 4], "category": "cat"}, {"bbox": [0, 0, 1, 1], "category": "dog"}]
    assert objects(tmp_path, value)[0] == [("cat", 1, 2, 4, 6), ("dog", 0, 0, 1, 1)]


@pytest.mark.parametrize("value", [None, {}, [], {"bbox": [], "categories": []}, {"bbox": None}])
def test_an_image_may_have_no_objects(tmp_path, value):
    assert objects(tmp_path, value) == ([], [])


def test_numbers_are_named_if_names_are_known(tmp_path):
    value = {"bbox": [[1, 2, 3, 4]] * 2, "categories": [1, 0]}
    assert [box[0] for box in objects(tmp_path, value)[0]] == ["1", "0"]
    assert [box[0] for box in objects(tmp_path, value, names=("a", "b"))[0]] == ["b", "a"]
    value["categories"][0] = 2
    _, faults = objects(tmp_path, value, names=("a", "b"))
    assert faults == ["the class is 2, but README.md names the classes 0 to 1"]


@pytest.mark.parametrize(
    ("box", "label", "what"),
    [
        ([1, 2, 3], "cat", "bbox is [1, 2, 3] (list), not four numbers"),
        (7, "cat", "bbox is 7 (int), not four numbers"),
        ([1, 2, 3, "4"], "cat", "a number of bbox is '4' (str), not a number"),
        ([1, 2, 3, 4], "", "the class is '', not a name"),
        ([1, 2, 3, 4], 1.5, "the class is 1.5 (float), not a whole number"),
        ([1, 2, 3, 4], None, "the class is None (NoneType), not a whole number"),
    ],
)
def test_an_object_at_fault_is_left_to_its_image(tmp_path, box, label, what):
    value = {"bbox": [box, [0, 0, 1, 1]], "categories": [label, "dog"]}
    assert objects(tmp_path, value) == ([("dog", 0, 0, 1, 1)], [what])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[1]", r"it is \[1\] \(list\), not an object"),
        ({"objects": {}}, "file_name is None, not a name"),
        ({"file_name": 1.5}, "file_name is 1.5, not a name"),
        ({"objects": 7}, r"objects is 7 \(int\), not an object with bbox and categories"),
        ({"objects": [7]}, "objects is a list whose entries are not objects"),
        (
            {"objects": {"bbox": [[1, 2, 3, 4]], "categories": []}},
            r"objects has 1 box \(bbox\), but 0 classes",
        ),
        (
            {"objects": {"bbox": {"a": 1}, "label": []}},
            "bbox and categories of objects are not both",
        ),
        ({"objects": {"bbox": [[1, 2, 3, 4]]}}, "objects has none of 'categories', 'category', 'l"),
        (
            {"objects": {"bbox": [[1, 2, 3, 4]], "label": ["a"], "category": ["b"]}},
            "objects has 'category', 'label', each of which could be the classes",
        ),
    ],
)
def test_an_image_at_fault_goes_to_the_log(tmp_path, line, what):
    if isinstance(line, dict) and "objects" in line and line["objects"] != {}:
        line = {"file_name": "a.png", **line}
    with pytest.raises(DataError, match=rf"metadata\.jsonl: line 2: {what}"):
        read(tmp_path, {"file_name": "b.png"}, line)
    entries, lines = read(tmp_path, {"file_name": "b.png"}, line, on_error="skip")
    assert ([entry.name for entry in entries], len(lines)) == (["b.png"], 1)


def test_objects_of_a_csv_file_are_json(tmp_path):
    cell = '"{""bbox"": [[1, 2, 3, 4]], ""categories"": [""cat""]}"'
    write(tmp_path, {"metadata.csv": f"file_name,objects\nb.png,{cell}\na.png,\n"})
    first, second = read_metadata(str(tmp_path / "metadata.csv"), (), FaultLog("raise"))
    assert (first.name, first.where, first.boxes) == ("a.png", "line 3", [])
    assert second.boxes[0].corners == (1, 2, 4, 6)


def test_objects_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    value = {"bbox": [[1.0, 2.0, 3.0, 4.0]], "categories": [0]}
    table = pyarrow.table({"file_name": ["a.png"], "objects": [value]})
    parquet.write_table(table, tmp_path / "metadata.parquet")
    (entry,) = read_metadata(str(tmp_path / "metadata.parquet"), (), FaultLog("raise"))
    assert [(box.name, *box.corners) for box in entry.boxes] == [("0", 1, 2, 4, 6)]


def test_a_file_of_another_encoding_is_named(tmp_path):
    write(tmp_path, {"metadata.jsonl": b'{"file_name": "\xe9"}'})
    with pytest.raises(DataError, match=r"metadata\.jsonl: the metadata: it is not UTF-8 text"):
        read_metadata(str(tmp_path / "metadata.jsonl"), (), FaultLog("skip"))

import json
import re

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.results_file import read_results

NAMES, IDS = ("dog", "cat", "bird"), (17, 16, 90)  # not in the order of their ids
SIZES = ((480, 640), (300, 200), (100, 100))


@pytest.fixture
def dataset():
    records = tuple(
        make_record(n, f"a/{n}.jpg", "", size, [], [], source_id=100 + n)
        for n, size in enumerate(SIZES)
    )
    return Dataset("val", records, NAMES, IDS)


def row(image_id=100, category_id=16, bbox=(10, 20, 30.5, 40), score=0.75, **more):
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(bbox),
        "score": score,
        **more,
    }


@pytest.fixture
def read(tmp_path, dataset):
    def read(content, data=dataset):
        path = tmp_path / "found.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_results(path, data)

    return read


def test_rows_become_detections_of_their_images(read):
    results = read([row(), row(102, 90, (0, 0, 5, 5)), row(100, 17, (1, 1, 2, 2), 1 / 3)])
    assert sorted(results.detections) == [0, 2]
    first = results.detections[0]
    np.testing.assert_array_equal(first.boxes, [(10, 20, 40.5, 60), (1, 1, 3, 3)])
    np.testing.assert_array_equal(first.scores, np.float32([0.75, 1 / 3]))
    assert first.labels.tolist() == [2, 1]
    assert [x.dtype for x in first] == [np.float32, np.float32, np.int32]
    assert results.rows[2] == {
        "image_id": 0,  # the data set's own
        "category_id": 17,
        "bbox": [1, 1, 2, 2],
        "score": 1 / 3,  # as in the file
    }
    assert results.notes == ()


@pytest.mark.parametrize("name", ["annotations", "predictions"])
def test_a_list_inside_of_an_object_is_read(read, name):
    assert len(read({"info": {}, name: [row(), row()]}).rows) == 2


def test_an_empty_list_has_no_detections(read):
    assert read([]) == ([], {}, ())


@pytest.mark.parametrize("ids", [(100, 102), ("100", "102"), ("0.jpg", "2.jpg"), ("0", "2")])
def test_images_are_named_by_ids_or_by_files(read, ids):
    assert sorted(read([row(key) for key in ids]).detections) == [0, 2]


def test_file_names_come_before_ids_which_may_be_those_of_another_file(read):
    results = read([row(101, file_name="photos/2.jpg"), row(100, file_name="0.jpg")])
    assert sorted(results.detections) == [0, 2]
    assert results.notes == ("images are matched by file_name",)
    assert read([row(102, file_name="2.jpg")]).notes == ()
    assert sorted(read([row(102, file_name="other.jpg")]).detections) == [2]


def named(*names):
    records = tuple(
        make_record(n, name, "", SIZES[0], [], [], source_id=100 + n)
        for n, name in enumerate(names)
    )
    return Dataset("val", records, NAMES, IDS)


def places(results):
    """The image of each detection, by the data set's ids."""
    return [one["image_id"] for one in results.rows]


def test_images_of_one_name_are_told_apart_by_their_folders(read):
    data = named("a/x/1.jpg", "b/x/1.jpg", "b/2.jpg", "1.jpg")
    files = ("/home/a/x/1.jpg", "C:\\b\\x\\1.jpg", "2.jpg", "1.jpg")
    # No image is called 7: the names alone have to do.
    assert places(read([row(7, file_name=name) for name in files], data)) == [0, 1, 2, 3]
    assert places(read([row(name) for name in files], data)) == [0, 1, 2, 3]
    assert places(read([row(name) for name in ("a/x/1", "b/x/1")], data)) == [0, 1]


def test_ids_choose_among_images_that_a_name_fits_equally_well(read):
    data = named("a/1.jpg", "b/1.jpg")
    rows = [row(101, file_name="1.jpg"), row(100, file_name="c/1.jpg")]
    assert places(read(rows, data)) == [1, 0]


@pytest.mark.parametrize(
    ("names", "files", "line"),
    [
        (
            ("a/1.jpg", "b/1.jpg"),
            ("1.jpg",),
            "'1.jpg' could be 'a/1.jpg' or 'b/1.jpg'; include more",
        ),
        (("a/1.jpg", "b/1.jpg"), ("a/1.jpg", "c/1.jpg"), "'c/1.jpg' could be 'a/1.jpg' or"),
        (("a/1.jpg", "2.jpg"), ("a/1.jpg", "b/1.jpg"), "'a/1.jpg' and 'b/1.jpg' could both be"),
    ],
)
def test_names_that_are_ambiguous_are_one_line(read, names, files, line):
    for key in ("file_name", "image_id"):
        rows = [row(7) | {key: name} for name in files]
        with pytest.raises(DataError, match=line) as caught:
            read(rows, named(*names))
        assert "\n" not in str(caught.value)


def test_a_name_may_be_that_of_the_file_where_the_data_set_has_another(read):
    record = make_record(3, "000003", "/data/JPEGImages/000003.jpg", SIZES[0], [], [])
    results = read([row(1, file_name="000003.jpg")], Dataset("val", (record,), NAMES, IDS))
    assert places(results) == [3]


@pytest.mark.parametrize(
    ("first", "note"),
    [(0, "a position from 0 among the 3 .*: 0 is cat"), (1, "a position from 1 .*: 1 is cat")],
)
def test_numbers_without_gaps_are_in_the_order_of_the_ids(read, first, note):
    results = read([row(category_id=first + k) for k in range(3)])
    assert results.detections[0].labels.tolist() == [2, 1, 3]  # 16, 17, 90
    assert [row["category_id"] for row in results.rows] == [16, 17, 90]
    (line,) = results.notes

    assert re.search(note, line)


def test_classes_are_read_by_name(read):
    for rows in (
        [row(category_id=name) for name in NAMES],
        [row(category_id=k, category_name=name) for k, name in enumerate(NAMES)],
    ):
        results = read(rows)
        assert results.detections[0].labels.tolist() == [1, 2, 3]
        assert results.notes == ("classes are matched by name",)
    named = [row(category_id=key, category_name=name) for key, name in zip(IDS, NAMES, strict=True)]
    assert read(named).notes == ()  # names and ids say the same


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[{", "is not JSON"),
        ('"text"', "is a str, expected a list of"),
        ({"images": [], "a": 1}, "is an object with 'images', 'a', expected a list of"),
        ([7], "detection 0: 7 is not an object"),
        ([row(), {"image_id": 100, "bbox": []}], "detection 1: has no category_id and no score"),
        (
            [{"image_id": 100, "category_id": 16, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
            "detection 0: has no score; the file seems to be the ground truth",
        ),
        ([row(bbox=(1, 2, 3))], r"of image 100: bbox \[1, 2, 3\] is not four numbers"),
        ([row(bbox=(1, 2, 3, "4"))], "is not four numbers"),
        ([row(bbox=(1, 2, -3, 4))], "has a negative side; COCO's boxes are x, y, width, height"),
        (
            [row(), row(102, score=float("nan"))],
            "detection 1: of image 102: score nan is not a finite number",
        ),
        ([row(score=None)], "score None is not a finite number"),
        ([row(score=True)], "score True is not a finite number"),
        ([row(), row(7)], "1 of 2 images not found in val: the first has image_id '7', but"),
        ([row(), row(category_id=91)], r"category_id 91 is not a category of val, .*17 \(dog\)"),
        ([row(category_id=2), row(category_id=16)], "category_id 2 is not a category"),
        ([row(category_id=1.5)], r"category_id 1\.5 is not a whole number"),
        ([row(bbox=(0.1, 0.2, 0.9, 0.5)), row(bbox=(0, 0, 1, 1))], "lie between 0 and 1; multiply"),
        (
            [row(102, bbox=(50, 60, 90, 100)), row(102, bbox=(40, 40, 99, 99))],
            "read as x, y, width, height, 2 of 2 boxes extend beyond",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(read, content, line):
    with pytest.raises(DataError, match=line) as caught:
        read(content)
    assert "found.json: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boxes_that_reach_out_a_little_are_boxes(read):
    outside = row(102, bbox=(50, 60, 50.5, 40))
    assert len(read([outside, outside]).rows) == 2
    far = row(102, bbox=(60, 60, 90, 90))  # some detectors do not clip
    assert len(read([far, *[row()] * 4]).rows) == 5


def test_ids_that_come_twice_are_not_told_apart(read):
    records = tuple(make_record(n, f"{n}.jpg", "", SIZES[n], [], [], source_id=5) for n in (0, 1))
    twice = Dataset("two splits", records, NAMES, IDS)
    assert sorted(read([row("1.jpg")], twice).detections) == [1]
    with pytest.raises(DataError, match="image ids are ambiguous"):
        read([row(5)], twice)


def test_a_file_that_is_not_there_is_one_line(tmp_path, dataset):
    with pytest.raises(DataError, match="cannot be read"):
        read_results(tmp_path / "none.json", dataset)

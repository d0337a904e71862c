import os

import pytest

from jaxrcnn.data.table_files import find_sources, image_places
from tests.data.folders import write

HEAD = "filename,class,xmin,ymin,xmax,ymax\n"
DIVIDED = "split,filename,bbox\nTRAIN,a.png,1 1 1 1\n,b.png,\nTest,c.png,\ntrain,d.png,\n"


def sources(root, *columns):
    found = find_sources(str(root), columns)
    return {
        split: [(os.path.relpath(s.file, root).replace(os.sep, "/"), s.value) for s in each]
        for split, each in found.items()
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["labels.csv"], {"all": "labels.csv"}),
        (["train.csv", "val.tsv"], {"train": "train.csv", "val": "val.tsv"}),
        (
            ["train_labels.csv", "test_labels.csv"],
            {"test": "test_labels.csv", "train": "train_labels.csv"},
        ),
        (["oidv6-train-annotations-bbox.csv"], {"train": "oidv6-train-annotations-bbox.csv"}),
        (
            ["train/_annotations.csv", "valid/_annotations.csv"],
            {"train": "train/_annotations.csv", "valid": "valid/_annotations.csv"},
        ),
        (["annotations/Validation.csv"], {"Validation": "annotations/Validation.csv"}),
        (["train.csv", "everything.csv"], {"train": "train.csv"}),
        (["train_and_val.csv"], {"all": "train_and_val.csv"}),
        (["deep/train.csv", "notes.txt"], {}),
    ],
)
def test_splits_are_in_the_names_of_tables_or_folders(tmp_path, files, expected):
    write(tmp_path, dict.fromkeys(files, HEAD))
    assert sources(tmp_path) == {split: [(file, "")] for split, file in expected.items()}


def test_a_column_divides_a_table(tmp_path):
    write(tmp_path, {"train.csv": DIVIDED})
    assert sources(tmp_path) == {"TRAIN": [("train.csv", "TRAIN")], "Test": [("train.csv", "Test")]}


def test_a_column_of_something_else_does_not_divide_a_table(tmp_path):
    write(tmp_path, {"lego.csv": "set,filename,bbox\n10,a.png,\n21,b.png,\n"})
    assert sources(tmp_path) == {"all": [("lego.csv", "")]}
    assert list(sources(tmp_path, "split=set")) == ["10", "21"]


def test_tables_of_something_else_are_left_out(tmp_path):
    write(tmp_path, {"a.csv": "image_id,PredictionString\n", "b.csv": "", "c.csv": b"\xff\xfe\0"})
    assert sources(tmp_path) == {}
    assert sources(tmp_path, "bbox=PredictionString") == {"all": [("a.csv", ""), ("c.csv", "")]}
    assert sources(tmp_path / "none") == {}


def test_several_tables_of_one_split_are_kept_apart(tmp_path):
    write(tmp_path, {"train.csv": HEAD, "train/x.csv": HEAD})
    assert sources(tmp_path) == {"train": [("train.csv", ""), ("train/x.csv", "")]}


def test_places_of_images_are_folders_that_exist(tmp_path):
    write(tmp_path, {"images/x": "", "images/train/x": "", "train/images/x": "", "other/x": ""})
    found = image_places(str(tmp_path), str(tmp_path / "a.csv"), "train")
    names = [os.path.relpath(place, tmp_path).replace(os.sep, "/") for place in found]
    assert names == [".", "train", "train/images", "images/train", "images"]

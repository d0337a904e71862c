"""COCO's files as tools export them; the same three images are read from every layout."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.coco_layouts import find_splits, locate
from jaxrcnn.data.errors import DataError
from tests.data.coco_files import TABLES, changed_all, write

NAMES = ("a.png", "b.png", "c.png")


def put(root, file, folder, tables=TABLES):
    """Write a JSON file and, in a folder, the images."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tables if isinstance(tables, str) else json.dumps(tables))
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, size in zip(NAMES, ((40, 30), (40, 30), (20, 50)), strict=True):
        Image.new("RGB", size).save(root / folder / name)


def in_folder(folder):
    """The tables with a folder before the names of the images."""
    return changed_all("images", lambda image: {"file_name": folder + image["file_name"]})


LAYOUTS = {
    "usual": ("annotations/instances_train.json", "train", TABLES, "train"),
    "images/": ("annotations/instances_train.json", "images/train", TABLES, "train"),
    "beside annotations/": ("annotations/instances_train.json", ".", TABLES, "train"),
    "without a prefix": ("annotations/train.json", "images", TABLES, "train"),
    "unnamed": ("annotations/annotations.json", "images", TABLES, "all"),
    "CVAT": ("annotations/instances_default.json", "images", TABLES, "default"),
    "CVAT, newer": ("annotations/instances_default.json", "images/default", TABLES, "default"),
    "Roboflow": ("valid/_annotations.coco.json", "valid", TABLES, "valid"),
    "Roboflow, one set": ("_annotations.coco.json", ".", TABLES, "all"),
    "Label Studio": ("result.json", "images", in_folder("images/"), "all"),
    "Label Studio on Windows": ("result.json", "images", in_folder("images\\"), "all"),
    "FiftyOne": ("labels.json", "data", TABLES, "all"),
    "FiftyOne, a split": ("train/labels.json", "train/data", TABLES, "train"),
    "one file beside the images": ("cells.json", ".", TABLES, "all"),
    "one file of a split": ("val.json", "val", TABLES, "val"),
    "capital letters": ("Annotations/instances_default.json", "Images", TABLES, "default"),
    "in labels/": ("labels/train.json", "images", TABLES, "train"),
    "CVAT's keypoints": ("annotations/person_keypoints_x.json", "x", TABLES, "person_keypoints_x"),
    "one file, images elsewhere": ("cells.json", "photos", TABLES, "all"),
    "usual, images elsewhere": ("annotations/instances_train.json", "photos", TABLES, "train"),
    "names with folders": ("annotations.json", "photos/day", in_folder("photos/day/"), "all"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_found_and_read(tmp_path, name):
    file, folder, tables, split = LAYOUTS[name]
    put(tmp_path, file, folder, tables)
    assert find_splits(str(tmp_path)) == {split: file}
    dataset = read_coco(str(tmp_path), (split,))
    assert dataset.notes == ()
    assert [record.image_id for record in dataset.records] == [40, 7, 9]
    files = [str((tmp_path / folder / image).resolve()) for image in NAMES]
    assert [record.file for record in dataset.records] == files
    boxes = [[1.5, 2, 11.5, 22], [39, 29, 40, 30], [5, 5, 6, 6]]
    np.testing.assert_array_equal(dataset.records[1].boxes, boxes)


def test_several_splits_keep_their_names(tmp_path):
    for split in ("train", "valid", "test"):
        put(tmp_path, f"{split}/_annotations.coco.json", split)
    found = find_splits(str(tmp_path))
    assert found == {x: f"{x}/_annotations.coco.json" for x in ("test", "train", "valid")}
    dataset = read_coco(str(tmp_path), ("train", "valid"))
    assert {record.file.rsplit("/", 2)[1] for record in dataset.records} == {"train", "valid"}


def test_files_for_other_tasks_and_of_other_formats_are_no_splits(tmp_path):
    write(tmp_path, TABLES, "train2017")
    for name in ("person_keypoints_train2017", "captions_train2017", "panoptic_val2017"):
        (tmp_path / "annotations" / f"{name}.json").write_text(json.dumps(TABLES))
    results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]
    (tmp_path / "annotations" / "found.json").write_text(json.dumps(results))
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert find_splits(str(tmp_path)) == {"train2017": "annotations/instances_train2017.json"}


def test_what_is_hidden_is_no_split(tmp_path):
    put(tmp_path, "__MACOSX/train/_annotations.coco.json", "__MACOSX/train")
    put(tmp_path, "train/._annotations.coco.json", "train")
    assert find_splits(str(tmp_path)) == {}
    assert find_splits(str(tmp_path / "missing")) == {}


def test_a_broken_file_is_found_by_its_name_and_refused_by_its_reader(tmp_path):
    put(tmp_path, "train/_annotations.coco.json", "train", '{"images": ')
    assert find_splits(str(tmp_path)) == {"train": "train/_annotations.coco.json"}
    with pytest.raises(DataError, match=r"_annotations\.coco\.json: split train: is not COCO's"):
        read_coco(str(tmp_path), ("train",))


def test_results_in_place_of_annotations_are_called_so(tmp_path):
    results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]
    put(tmp_path, "annotations/instances_val.json", "val", results)
    with pytest.raises(
        DataError, match=r"split val: it is COCO's results .*use the annotation file"
    ):
        read_coco(str(tmp_path), ("val",))


def test_a_split_that_is_not_there_lists_those_that_are(tmp_path):
    put(tmp_path, "annotations/instances_default.json", "images")
    with pytest.raises(DataError) as error:
        read_coco(str(tmp_path), ("train2017",))
    assert str(error.value) == (
        f"{tmp_path}: split train2017: there is no such split; the folder has default "
        "(annotations/instances_default.json); give --config.data.train_splits default"
    )


def test_the_usual_file_comes_first(tmp_path):
    put(tmp_path, "annotations/instances_train.json", "train")
    put(tmp_path, "annotations/train.json", "images")
    put(tmp_path, "train/_annotations.coco.json", "train")
    place = locate(str(tmp_path), "train")
    assert place.file == str(tmp_path / "annotations" / "instances_train.json")
    assert (place.folder, place.more) == (str(tmp_path / "train"), ())

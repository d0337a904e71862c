import copy
import json

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.errors import DataError

TABLES = {
    "images": [
        {"id": 40, "file_name": "a.png", "height": 30, "width": 40},
        {"id": 7, "file_name": "b.png", "height": 30, "width": 40},
        {"id": 9, "file_name": "c.png", "height": 50, "width": 20},
    ],
    "annotations": [
        {"id": 3, "image_id": 7, "category_id": 90, "bbox": [1.5, 2, 10, 20], "area": 123.5},
        {"id": 1, "image_id": 40, "category_id": 4, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        {"id": 2, "image_id": 7, "category_id": 4, "bbox": [39, 29, 1, 1], "iscrowd": 0},
        {"id": 8, "image_id": 7, "category_id": 17, "bbox": [5, 5, 1, 1]},
    ],
    "categories": [
        {"id": 90, "name": "dog"},
        {"id": 4, "name": "cat"},
        {"id": 17, "name": "owl"},
    ],
}


def write(root, tables, split="train", folder="train"):
    (root / "annotations").mkdir(exist_ok=True)
    content = tables if isinstance(tables, str) else json.dumps(tables)
    (root / "annotations" / f"instances_{split}.json").write_text(content)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, size in (("a", (40, 30)), ("b", (40, 30)), ("c", (20, 50))):
        Image.new("RGB", size).save(root / folder / f"{name}.png")


def changed(table, place, **fields):
    tables = copy.deepcopy(TABLES)
    tables[table][place].update(fields)
    return tables


def test_boxes_labels_and_marks_are_read(tmp_path):
    write(tmp_path, TABLES)
    dataset = read_coco(str(tmp_path), ("train",))
    assert dataset.class_names == ("cat", "owl", "dog")  # ascending category ids
    assert dataset.category_ids == (4, 17, 90)
    a, b, c = dataset.records
    assert (a.image_id, a.name, a.height, a.width) == (40, "a.png", 30, 40)
    assert a.file == str(tmp_path / "train" / "a.png")
    np.testing.assert_array_equal(a.boxes, [[0, 0, 40, 30]])
    np.testing.assert_array_equal(a.crowd, [True])
    np.testing.assert_array_equal(a.ignore, [True])
    np.testing.assert_array_equal(a.area, [1200])  # none annotated: that of the box
    np.testing.assert_array_equal(b.boxes, [[1.5, 2, 11.5, 22], [39, 29, 40, 30], [5, 5, 6, 6]])
    np.testing.assert_array_equal(b.labels, [3, 1, 2])
    np.testing.assert_array_equal(b.area, [123.5, 1, 1])
    np.testing.assert_array_equal(b.annotation_ids, [3, 2, 8])
    assert not b.ignore.any()
    assert b.boxes.dtype == np.float32
    assert c.boxes.shape == (0, 4)
    assert dataset.summary() == "train: 3 images, 4 boxes (1 to ignore), 3 classes"


def test_classes_choose_and_order_the_labels_and_others_are_counted(tmp_path):
    write(tmp_path, TABLES)
    dataset = read_coco(str(tmp_path), ("train",), classes=("dog", "cat"))
    assert dataset.class_names == ("dog", "cat")
    assert dataset.category_ids == (90, 4)
    np.testing.assert_array_equal(dataset.records[1].labels, [1, 2])
    assert dataset.other_boxes == 1
    assert "1 boxes of other categories left out" in dataset.summary()


def test_a_class_that_no_data_has_keeps_its_label(tmp_path):
    write(tmp_path, TABLES)
    dataset = read_coco(str(tmp_path), ("train",), classes=("cat", "N/A 12", "dog", "owl"))
    assert dataset.category_ids == (4, -2, 90, 17)
    np.testing.assert_array_equal(dataset.records[1].labels, [3, 1, 4])


def test_boxes_that_reach_out_by_a_pixel_are_cut_and_counted(tmp_path):
    write(tmp_path, changed("annotations", 0, bbox=[-1.0, -0.25, 42.0, 31.25]))
    dataset = read_coco(str(tmp_path), ("train",))
    np.testing.assert_array_equal(dataset.records[1].boxes[0], [0, 0, 40, 30])
    assert dataset.clipped == 1


@pytest.mark.parametrize("folder", ["images/train", "images", "JPEGImages"])
def test_images_may_stand_in_other_folders(tmp_path, folder):
    write(tmp_path, TABLES, folder=folder)
    assert read_coco(str(tmp_path), ("train",)).records[0].file == str(tmp_path / folder / "a.png")


def test_splits_are_joined_in_order_and_must_not_share_ids(tmp_path):
    write(tmp_path, TABLES)
    other = copy.deepcopy(TABLES)
    other["images"] = [{"id": 1, "file_name": "a.png", "height": 30, "width": 40}]
    other["annotations"] = []
    write(tmp_path, other, "val", "val")
    dataset = read_coco(str(tmp_path), ("val", "train"))
    assert [record.image_id for record in dataset.records] == [1, 40, 7, 9]
    other["images"][0]["id"] = 9
    write(tmp_path, other, "val", "val")
    with pytest.raises(DataError, match="image 9: more than one image has this id"):
        read_coco(str(tmp_path), ("val", "train"))


FAULTY = {
    "no size": (changed("images", 1, height=None), "image 7", "no size"),
    "zero size": (changed("images", 1, width=0), "image 7", "no size"),
    "no file name": (changed("images", 1, file_name=None), "image 7", "'file_name'"),
    "missing image": (changed("images", 1, file_name="z.png"), "image 7", "missing"),
    "zero width": (changed("annotations", 0, bbox=[1, 2, 0, 5]), "image 7", "empty or inverted"),
    "inverted": (changed("annotations", 0, bbox=[9, 2, -3, 5]), "image 7", "annotation 3 (9,"),
    "NaN": (changed("annotations", 0, bbox=[float("nan"), 2, 3, 5]), "image 7", "not finite"),
    "infinite": (changed("annotations", 0, bbox=[1, 2, float("inf"), 5]), "image 7", "not finite"),
    "outside": (changed("annotations", 0, bbox=[40, 2, 0.5, 5]), "image 7", "lies outside"),
    "reaching out": (changed("annotations", 0, bbox=[30, 2, 11.5, 5]), "image 7", "reaches out"),
    "three numbers": (changed("annotations", 0, bbox=[1, 2, 3]), "image 7", "four numbers"),
    "text": (changed("annotations", 0, bbox=[1, 2, 3, "4"]), "image 7", "four numbers"),
    "no box": (changed("annotations", 0, bbox=None), "image 7", "four numbers"),
    "no area": (changed("annotations", 0, area=None), "image 7", "area None"),
    "unknown category": (changed("annotations", 0, category_id=5), "image 7", "category id 5"),
    "annotation id": (changed("annotations", 0, id=8), "image 7", "annotation has the id 8"),
    "orphan": (changed("annotations", 0, image_id=8), "annotation 3", "no image 8"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_record_stops_or_is_left_out_and_counted(tmp_path, name):
    tables, record, what = FAULTY[name]
    write(tmp_path, tables)
    with pytest.raises(DataError) as error:
        read_coco(str(tmp_path), ("train",))
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{tmp_path / 'annotations' / 'instances_train.json'}: {record}: ")
    assert what in line
    assert line.endswith("data.on_error=skip")
    dataset = read_coco(str(tmp_path), ("train",), on_error="skip")
    assert dataset.skipped == (line,)
    assert "1 faulty records left out" in dataset.summary()
    kept = [40, 7, 9] if name == "orphan" else [40, 9]
    assert [record.image_id for record in dataset.records] == kept


def test_images_that_share_an_id_are_all_left_out(tmp_path):
    write(tmp_path, changed("images", 2, id=40))
    with pytest.raises(DataError, match="image 40: more than one image has this id"):
        read_coco(str(tmp_path), ("train",))
    dataset = read_coco(str(tmp_path), ("train",), on_error="skip")
    assert [record.image_id for record in dataset.records] == [7]
    assert len(dataset.skipped) == 2


UNUSABLE = {
    "not json": ('{"images": [', "is not COCO's json"),
    "a list": ("[]", "'images' is missing"),
    "no annotations": ({key: TABLES[key] for key in ("images", "categories")}, "'annotations'"),
    "image without id": (changed("images", 0, id=None), "'id' of None is None"),
    "text as image id": (changed("annotations", 0, image_id="7"), "'image_id' of 3 is '7'"),
    "category id twice": (changed("categories", 0, id=4), "used twice"),
    "category name twice": (changed("categories", 0, name="cat"), "used twice"),
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_unusable_file_always_stops(tmp_path, name, on_error):
    tables, what = UNUSABLE[name]
    write(tmp_path, tables)
    with pytest.raises(DataError) as error:
        read_coco(str(tmp_path), ("train",), on_error=on_error)
    assert what in str(error.value)
    assert "instances_train.json: split train: " in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_folders_and_classes_are_named(tmp_path):
    with pytest.raises(DataError, match=r"instances_none\.json: split none: cannot be read"):
        read_coco(str(tmp_path), ("none",))
    write(tmp_path, TABLES)
    with pytest.raises(DataError, match="no category is named 'emu', the names are dog, cat, owl"):
        read_coco(str(tmp_path), ("train",), classes=("emu",))
    write(tmp_path, changed("categories", 0, name="emu"), "val", "val")
    with pytest.raises(DataError, match="its categories are not those of"):
        read_coco(str(tmp_path), ("train", "val"))
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="split train: no folder of images among train, "):
        read_coco(str(tmp_path), ("train",))

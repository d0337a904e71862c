import contextlib
import copy
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.errors import DataError
from jaxrcnn.evaluation.coco import coco_scores
from tests.data.coco_files import TABLES, changed, changed_all, write


def read(root, *splits, **options):
    return read_coco(str(root), splits or ("train",), **options)


def test_boxes_labels_and_marks_are_read(tmp_path):
    write(tmp_path, TABLES)
    dataset = read(tmp_path)
    assert dataset.class_names == ("cat", "owl", "dog")  # ascending category ids
    assert dataset.category_ids == (4, 17, 90)
    a, b, c = dataset.records
    assert (a.image_id, a.source_id, a.name, a.height, a.width) == (40, 40, "a.png", 30, 40)
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
    dataset = read(tmp_path, classes=("dog", "cat"))
    assert dataset.class_names == ("dog", "cat")
    assert dataset.category_ids == (90, 4)
    np.testing.assert_array_equal(dataset.records[1].labels, [1, 2])
    assert dataset.other_boxes == 1
    assert "1 box of other classes left out" in dataset.summary()


def test_a_split_that_lacks_a_class_or_adds_one_is_opened(tmp_path):
    write(tmp_path, TABLES)
    dataset = read(tmp_path, classes=("emu", "owl"))
    assert dataset.class_names == ("emu", "owl")
    assert dataset.category_ids == (-1, 17)
    np.testing.assert_array_equal(dataset.records[1].labels, [2])
    assert dataset.other_boxes == 3
    assert dataset.summary().endswith("; no category is named 'emu': classes without objects")


def test_a_category_may_be_called_n_a(tmp_path):
    write(tmp_path, changed("categories", 0, name="N/A dog"))
    dataset = read(tmp_path)
    assert (dataset.class_names, dataset.category_ids) == (("cat", "owl", "N/A dog"), (4, 17, 90))
    np.testing.assert_array_equal(dataset.records[1].labels, [3, 1, 2])


def test_a_class_that_no_data_has_keeps_its_label(tmp_path):
    write(tmp_path, TABLES)
    dataset = read(tmp_path, classes=("cat", "N/A 12", "dog", "owl"))
    assert dataset.category_ids == (4, -2, 90, 17)
    np.testing.assert_array_equal(dataset.records[1].labels, [3, 1, 4])
    assert dataset.notes == ()


def test_boxes_that_reach_out_by_a_pixel_are_cut_and_counted(tmp_path):
    write(tmp_path, changed("annotations", 0, bbox=[-1.0, -0.25, 42.0, 31.25]))
    dataset = read(tmp_path)
    np.testing.assert_array_equal(dataset.records[1].boxes[0], [0, 0, 40, 30])
    assert dataset.clipped == 1


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("bbox", [[29.65, 18.33, 1.03, 0.0], [1, 2, 0, 5], [1, 2, 0, 0]])
def test_a_box_without_area_is_left_out_and_counted(tmp_path, bbox, on_error):
    """As annotation 918 of COCO's train2017."""
    write(tmp_path, changed("annotations", 0, bbox=bbox))
    dataset = read(tmp_path, on_error=on_error)
    np.testing.assert_array_equal(dataset.records[1].annotation_ids, [2, 8])
    np.testing.assert_array_equal(dataset.records[1].boxes, [[39, 29, 40, 30], [5, 5, 6, 6]])
    assert dataset.skipped == ()
    assert dataset.summary().endswith("; 1 box without width or height left out")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read(tmp_path, encoding):
    write(tmp_path, json.dumps(TABLES).encode(encoding))
    assert len(read(tmp_path)) == 3


MARKS = [(0, False), ("0", False), (False, False), (0.0, False), ("false", False), (None, False)]
MARKS += [(1, True), ("1", True), (True, True), (1.0, True), ("True", True)]


@pytest.mark.parametrize(("value", "expected"), MARKS)
def test_marks_are_converted_where_their_meaning_is_certain(tmp_path, value, expected):
    write(tmp_path, changed("annotations", 0, iscrowd=value))
    record = read(tmp_path).records[1]
    np.testing.assert_array_equal(record.crowd, [expected, False, False])
    np.testing.assert_array_equal(record.ignore, [expected, False, False])
    write(tmp_path, changed("annotations", 0, ignore=value))
    record = read(tmp_path).records[1]
    np.testing.assert_array_equal(record.crowd, [False, False, False])  # pycocotools: an object
    np.testing.assert_array_equal(record.ignore, [expected, False, False])


def test_an_ignored_box_is_an_object_in_the_evaluation_as_pycocotools_has_it(tmp_path):
    write(tmp_path, changed("annotations", 0, ignore=1))
    found = [{"image_id": 7, "category_id": 17, "bbox": [5, 5, 1, 1], "score": 0.9}]
    metrics = coco_scores(read(tmp_path), copy.deepcopy(found)).metrics
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "annotations" / "instances_train.json"))
        for annotation in truth.anns.values():  # pycocotools itself needs both
            annotation.setdefault("iscrowd", 0)
            annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert metrics["eval/AR100"] == pytest.approx(evaluation.stats[8]) == pytest.approx(1 / 3)


def test_a_set_of_crowds_alone_says_so(tmp_path):
    write(tmp_path, changed_all("annotations", lambda _: {"iscrowd": 1}))
    said = "; all 4 boxes are crowds (iscrowd), and so none is trained on"
    dataset = read(tmp_path)
    assert dataset.summary() == f"train: 3 images, 4 boxes (4 to ignore), 3 classes{said}"
    assert dataset.without_empty().summary().endswith(f"; 3 images without objects left out{said}")


def test_boxes_in_shares_of_the_image_are_noted(tmp_path):
    write(tmp_path, changed_all("annotations", lambda _: {"bbox": [0.1, 0.2, 0.5, 0.8]}))
    assert "all boxes are between 0 and 1, but boxes are in pixels" in read(tmp_path).summary()
    write(tmp_path, changed("annotations", 3, bbox=[0.1, 0.2, 0.5, 0.8]))
    assert read(tmp_path).notes == ()


def test_a_missing_size_is_read_from_the_image(tmp_path):
    write(tmp_path, changed_all("images", lambda _: {"height": None, "width": None}))
    assert [(r.height, r.width) for r in read(tmp_path).records] == [(30, 40), (30, 40), (50, 20)]


SEEN, STORED = (40, 30), (30, 40)
CORNERS = [
    *((1, STORED, (5, 5)), (2, STORED, (5, 35)), (3, STORED, (25, 35)), (4, STORED, (25, 5))),
    *((5, SEEN, (5, 5)), (6, SEEN, (5, 25)), (7, SEEN, (35, 25)), (8, SEEN, (35, 5))),
    *((orientation, STORED, (5, 5)) for orientation in (5, 6, 7, 8)),
]
"""EXIF orientations, annotated height and width, and where the stored upper left corner is then."""


@pytest.mark.parametrize(("orientation", "size", "place"), CORNERS)
def test_an_image_is_read_as_it_is_seen_unless_it_is_annotated_as_stored(
    tmp_path, orientation, size, place
):
    tables = changed("images", 0, height=size[0], width=size[1])
    tables["annotations"][1]["bbox"] = [0, 0, 10, 10]
    write(tmp_path, tables)
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[:10, :10] = 200, 30, 30
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "train" / "a.png", exif=exif)
    dataset = read(tmp_path)
    image = dataset.read_image(0)
    assert image.shape == (*size, 3)
    np.testing.assert_array_equal(image[place], (200, 30, 30))
    as_stored = orientation > 4 and size == STORED
    assert dataset.records[0].as_stored == as_stored
    assert ("1 image annotated as stored" in dataset.summary()) == as_stored


def test_images_found_by_their_file_name_alone_are_counted(tmp_path):
    write(tmp_path, changed("images", 0, file_name="C:\\Users\\me\\a.png"))
    dataset = read(tmp_path)
    assert dataset.records[0].name == "C:\\Users\\me\\a.png"
    assert dataset.records[0].file == str(tmp_path / "train" / "a.png")
    assert dataset.notes == ("1 image found by file name alone, in another folder",)


def test_splits_are_joined_in_order_and_keep_ids_that_they_do_not_share(tmp_path):
    write(tmp_path, TABLES)
    other = copy.deepcopy(TABLES)
    other["images"] = [{"id": 1, "file_name": "a.png", "height": 30, "width": 40}]
    other["annotations"] = []
    write(tmp_path, other, "val", "val")
    dataset = read(tmp_path, "val", "train")
    assert [record.image_id for record in dataset.records] == [1, 40, 7, 9]
    other["images"][0]["id"] = 9
    write(tmp_path, other, "val", "val")
    dataset = read(tmp_path, "val", "train")
    assert [record.image_id for record in dataset.records] == [1, 2, 3, 4]
    assert [record.source_id for record in dataset.records] == [9, 40, 7, 9]
    assert dataset.notes == (
        "the splits share image ids: images are numbered from 1 in their order",
    )
    np.testing.assert_array_equal(dataset.records[2].annotation_ids, [3, 2, 8])


def test_images_whose_ids_are_strings_are_numbered_and_keep_them(tmp_path):
    tables = changed_all("images", lambda image: {"id": f"no {image['id']}"})
    for entry in tables["annotations"]:
        entry["image_id"] = f"no {entry['image_id']}"
    write(tmp_path, tables)
    dataset = read(tmp_path)
    assert [(r.image_id, r.source_id) for r in dataset.records] == [
        *((1, "no 40"), (2, "no 7"), (3, "no 9"))
    ]
    assert [len(record.boxes) for record in dataset.records] == [1, 3, 0]
    assert dataset.notes == ("image ids are strings: images are numbered from 1 in their order",)


FAULTY_IMAGES = {
    "no size": (changed("images", 1, height=0), "height is 0, which is not a valid image size"),
    "negative size": (
        changed("images", 1, width=-40),
        "width is -40, which is not a valid image size",
    ),
    "size as string": (changed("images", 1, width="40"), "width is '40' (str), not a whole number"),
    "size as bool": (changed("images", 1, width=True), "width is True (bool)"),
    "huge size": (changed("images", 1, width=2**70), "beyond 64 bits"),
    "other size": (
        changed("images", 1, width=41),
        "is 40x30 pixels (width x height), annotated as",
    ),
    "no file name": (changed("images", 1, file_name=None), "file_name is None (NoneType)"),
    "number as file name": (changed("images", 1, file_name=7), "file_name is 7 (int), not a name"),
    "missing image": (changed("images", 1, file_name="z.png"), "train/z.png"),
}


@pytest.mark.parametrize("name", FAULTY_IMAGES)
def test_a_faulty_image_stops_or_is_left_out_and_counted(tmp_path, name):
    tables, what = FAULTY_IMAGES[name]
    write(tmp_path, tables)
    shown = tables["images"][1]["file_name"]
    named = f"image 7 ({shown})" if isinstance(shown, str) else "image 7"
    dataset = check_faulty(tmp_path, f"{named}: ", what)
    assert [record.image_id for record in dataset.records] == [40, 9]


def check_faulty(root, beginning, what):
    """The line of the only fault stops, or is kept; returns the data set without it."""
    with pytest.raises(DataError) as error:
        read(root)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{root / 'annotations' / 'instances_train.json'}: {beginning}")
    assert what in line
    assert line.endswith("data.on_error=skip")
    dataset = read(root, on_error="skip")
    assert dataset.skipped == (line,)
    assert "1 faulty record left out" in dataset.summary()
    return dataset


FAULTY_BOXES = {
    "inverted": ({"bbox": [9, 2, -3, 5]}, "the box (9, 2, 6, 7) is inverted"),
    "NaN": ({"bbox": [float("nan"), 2, 3, 5]}, "not finite"),
    "infinite": ({"bbox": [1, 2, float("inf"), 5]}, "not finite"),
    "huge": ({"bbox": [1, 2, 10**400, 5]}, "not finite"),
    "outside": ({"bbox": [40, 2, 0.5, 5]}, "lies outside"),
    "reaching out": ({"bbox": [30, 2, 11.5, 5]}, "extends beyond"),
    "three numbers": ({"bbox": [1, 2, 3]}, "bbox is [1, 2, 3] (list), not four numbers"),
    "text": ({"bbox": [1, 2, 3, "4"]}, "a number of bbox is '4' (str), not a number"),
    "no box": ({"bbox": None}, "bbox is None (NoneType), not four numbers"),
    "area as string": ({"area": "123.5"}, "area is '123.5' (str), not a number"),
    "negative area": ({"area": -1}, "area is -1 (int), which is not a valid area"),
    "NaN as area": ({"area": float("nan")}, "area is nan (float), which is not a valid area"),
    "huge area": ({"area": 1e39}, "area is 1e+39 (float), which is not a valid area"),
    "crowd": ({"iscrowd": "yes"}, "iscrowd is 'yes' (str), neither 0 nor 1"),
    "ignore": ({"ignore": 2}, "ignore is 2 (int), neither 0 nor 1"),
    "unknown category": ({"category_id": 5}, "no category has the id 5 (int)"),
    "category as string": ({"category_id": "90"}, "category_id is '90' (str), not a whole number"),
    "category as list": ({"category_id": [90]}, "category_id is [90] (list), not a whole number"),
    "no category": ({"category_id": None}, "category_id is None (NoneType), not a whole number"),
}


@pytest.mark.parametrize("name", FAULTY_BOXES)
def test_a_faulty_box_stops_or_is_left_out_without_its_image(tmp_path, name):
    change, what = FAULTY_BOXES[name]
    write(tmp_path, changed("annotations", 0, **change))
    dataset = check_faulty(tmp_path, "image 7 (b.png): annotation 3: ", what)
    assert [record.image_id for record in dataset.records] == [40, 7, 9]
    np.testing.assert_array_equal(dataset.records[1].annotation_ids, [2, 8])
    np.testing.assert_array_equal(dataset.records[1].labels, [1, 2])
    np.testing.assert_array_equal(dataset.records[1].area, [1, 1])


def test_numbers_as_other_types_with_the_same_meaning_are_read(tmp_path):
    tables = changed("annotations", 0, category_id=90.0, area=None)
    tables["images"][1].update(height=30.0)
    write(tmp_path, tables)
    record = read(tmp_path).records[1]
    np.testing.assert_array_equal(record.labels, [3, 1, 2])
    np.testing.assert_array_equal(record.area, [200, 1, 1])  # null is as if it were not there
    assert record.height == 30


def test_an_image_above_the_limit_is_a_fault_until_the_limit_is_raised(tmp_path):
    write(tmp_path, TABLES)  # 40 x 30 and 20 x 50 pixels
    with pytest.raises(
        DataError, match=r"image 40 \(a\.png\): .*a\.png: its 40x30 pixels are more than data"
    ):
        read(tmp_path, max_pixels=1199)
    assert read(tmp_path, max_pixels=1200).read_image(0).shape == (30, 40, 3)
    dataset = read(tmp_path, max_pixels=1000, on_error="skip")
    assert [record.image_id for record in dataset.records] == [9]


def test_faults_are_told_image_by_image_and_those_of_what_is_written_first(tmp_path):
    tables = changed("annotations", 0, bbox=[9, 2, -3, 5])  # 3, of image 7
    tables["annotations"][1]["category_id"] = 5  # 1, of image 40
    tables["annotations"][2]["iscrowd"] = "yes"  # 2, of image 7
    tables["annotations"][3]["category_id"] = 6  # 8, of image 7
    tables["images"][2]["file_name"] = "z.png"  # 9
    write(tmp_path, tables)
    lines = read(tmp_path, on_error="skip").skipped
    told = [line.split("instances_train.json: ")[1].split(": ")[:2] for line in lines]
    assert told == [
        ["image 40 (a.png)", "annotation 1"],
        ["image 7 (b.png)", "annotation 2"],
        ["image 7 (b.png)", "annotation 8"],
        ["image 7 (b.png)", "annotation 3"],
        ["image 9 (z.png)", "the image file is missing"],
    ]
    with pytest.raises(DataError, match=r"image 40 \(a\.png\): annotation 1"):
        read(tmp_path)

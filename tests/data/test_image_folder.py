import json

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_folder import find_splits, read_image_folder
from tests.data.folders import boxes_of, write


def lines(*images, key="categories"):
    """The lines of metadata.jsonl, for (name, boxes, classes)."""
    return "".join(
        json.dumps({"file_name": name, "objects": {"bbox": boxes, key: labels}}) + "\n"
        for name, boxes, labels in images
    )


TRAIN = lines(("b.png", [[1, 2, 3, 4.5], [0, 0, 40, 30]], ["dog", "cat"]), ("a.png", [], []))
VAL = lines(("a.png", [[4, 3, 8, 6]], ["dog"]))
FILES = {"train/metadata.jsonl": TRAIN, "validation/metadata.jsonl": VAL}
IMAGES = ("train/a.png", "train/b.png", "validation/a.png")


def test_images_are_in_the_order_of_their_names(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    assert find_splits(root) == {
        "train": "train/metadata.jsonl",
        "validation": "validation/metadata.jsonl",
    }
    dataset = read_image_folder(root, ["train", "val"])
    assert dataset.class_names == dataset.source_classes == ("cat", "dog")
    assert boxes_of(dataset) == {
        "train/a.png": [],
        "train/b.png": [("dog", 1, 2, 4, 6.5), ("cat", 0, 0, 40, 30)],
        "validation/a.png": [("dog", 4, 3, 12, 9)],
    }
    assert [record.image_id for record in dataset.records] == [1, 2, 3]
    assert dataset.summary() == "train+val: 3 images, 3 boxes (0 to ignore), 2 classes"


@pytest.mark.parametrize(
    ("file", "images", "splits"),
    [
        ("metadata.jsonl", "a.png b.png", {"all": "metadata.jsonl"}),
        ("data/metadata.jsonl", "data/a.png data/b.png", {"all": "data/metadata.jsonl"}),
        (
            "data/train/metadata.jsonl",
            "data/train/a.png data/train/b.png",
            {"train": "data/train/metadata.jsonl"},
        ),
    ],
)
def test_places_of_the_metadata(tmp_path, file, images, splits):
    root = write(tmp_path, {file: TRAIN}, images.split())
    assert find_splits(root) == splits
    assert len(read_image_folder(root, list(splits))) == 2


def test_one_file_may_be_divided_by_folders(tmp_path):
    images = (("train/a.png", [[1, 2, 3, 4]], ["cat"]), ("test/b.png", [], []), ("c.png", [], []))
    names = [name for name, *_ in images]
    root = write(tmp_path, {"metadata.jsonl": lines(*images)}, names)
    assert find_splits(root) == {"test": "metadata.jsonl", "train": "metadata.jsonl"}
    dataset = read_image_folder(root, ["train"])
    assert boxes_of(dataset) == {"train/a.png": [("cat", 1, 2, 4, 6)]}
    assert dataset.notes == ("1 image outside the folders of the splits left out",)


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path):
    box = [1, 2, 3, 4]
    text = lines(("a.png", [box] * 3, [10, 9, 0]))
    root = write(tmp_path, {"metadata.jsonl": text}, ("a.png",))
    dataset = read_image_folder(root, ["all"])
    assert dataset.class_names == ("0", "9", "10")
    note = "README.md does not name the classes, so their numbers are used as names"
    assert dataset.notes == (note,)


def test_the_card_names_the_classes_and_their_order(tmp_path):
    card = "---\ndataset_info:\n  features: {class_label: {names: [dog, emu, cat]}}\n---\n"
    text = lines(("a.png", [[1, 2, 3, 4]], [2]))
    root = write(tmp_path, {"README.md": card, "metadata.jsonl": text}, ("a.png",))
    dataset = read_image_folder(root, ["all"])
    assert (dataset.class_names, dataset.notes) == (("dog", "emu", "cat"), ())
    np.testing.assert_array_equal(dataset.records[0].labels, [3])
    dataset = read_image_folder(root, ["all"], ["cat"])
    assert boxes_of(dataset) == {"a.png": [("cat", 1, 2, 4, 6)]}


def test_boxes_in_shares_are_noted(tmp_path):
    text = lines(("a.png", [[0.1, 0.1, 0.5, 0.5]], ["cat"]))
    root = write(tmp_path, {"metadata.jsonl": text}, ("a.png",))
    (note,) = read_image_folder(root, ["all"]).notes
    assert note.startswith("all boxes are between 0 and 1, but boxes are in pixels")


@pytest.mark.parametrize(
    ("images", "what"),
    [
        ((("b.png", [[1, 2, 3]], ["cat"]),), "line 1, object 1: bbox is"),
        (
            (("b.png", [[50, 2, 3, 3]], ["cat"]),),
            "line 1, object 1: 'cat': the box .* lies outside",
        ),
        ((("b.png", [[1, 2, 3, 3]], []),), "line 1: objects has 1 box"),
        ((("x.png", [], []),), r"line 1: the image file is missing: x\.png"),
        ((("a.png", [], []), ("./a.png", [], [])), "line 2: the image .* is listed twice, first"),
    ],
)
def test_a_fault_costs_the_box_or_the_image(tmp_path, images, what):
    root = write(tmp_path, {"metadata.jsonl": lines(*images)}, ("a.png", "b.png"))
    with pytest.raises(DataError, match=rf"metadata\.jsonl: {what}"):
        read_image_folder(root, ["all"])
    dataset = read_image_folder(root, ["all"], on_error="skip")
    assert len(dataset.skipped) == 1
    assert sum(len(record.boxes) for record in dataset.records) == 0


def test_metadata_without_objects_is_of_another_kind(tmp_path):
    text = '{"file_name": "a.png", "text": "a cat"}\n'
    root = write(tmp_path, {"metadata.jsonl": text, "train/metadata.csv": "file_name,label\n"})
    assert find_splits(root) == {}
    with pytest.raises(
        DataError, match=r"no metadata\.jsonl, .* has objects; there are 'm.* check"
    ):
        read_image_folder(root, ["all"])
    assert find_splits(str(tmp_path / "none")) == {}


def test_the_splits_that_are_there_are_named(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    with pytest.raises(DataError, match=r"split test: .* has train \("):
        read_image_folder(root, ["test"])

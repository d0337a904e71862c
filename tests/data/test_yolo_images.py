import os

import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_index import ImageIndex
from jaxrcnn.data.yolo_description import Description
from jaxrcnn.data.yolo_images import label_file, list_images
from tests.data.folders import write


def images(root, *paths, path="", splits=("train",)):
    """The images of a split, and the notes."""
    notes = []
    description = Description("data.yaml", {0: "a"}, {"train": paths}, path)
    listed = list_images(str(root), description, splits, notes)
    index = ImageIndex(str(root))
    found = [os.path.relpath(image.find(index).path, root) for image in listed]
    assert [image.image_id for image in listed] == list(range(1, len(found) + 1))
    return [name.replace(os.sep, "/") for name in found], notes


@pytest.mark.parametrize(
    ("written", "path", "noted"),
    [
        ("train/images", "", False),
        ("train", "", False),
        ("./train/images/", "", False),
        ("images", "train", False),
        ("../train/images", "", True),  # Roboflow's
        ("/content/data-1/train/images", "", True),
        ("D:\\data\\train\\images", "", True),
        ("train/images", "/content/data", True),
        ("train/images", "../datasets/pets", True),
        ("/content/pets/train/images", "/content/pets", True),
    ],
)
def test_a_folder_is_found_where_it_is_now(tmp_path, written, path, noted):
    write(tmp_path / "set", {}, ("train/images/b.png", "train/images/sub/a.png", "val/c.png"))
    found, notes = images(tmp_path / "set", written, path=path)
    assert found == ["train/images/b.png", "train/images/sub/a.png"]
    assert len(notes) == noted
    folder = tmp_path / "set/train/images"
    named = written if written.startswith("/") or not path else f"{path}/{written}"
    assert notes in ([], [f"split train is read from {folder}, not {named}"])


def test_an_absolute_folder_is_read_where_it_is(tmp_path):
    write(tmp_path, {"set/x": ""}, ("elsewhere/a.png",))
    found, notes = images(tmp_path / "set", str(tmp_path / "elsewhere"))
    assert found == ["../elsewhere/a.png"]
    assert notes == [
        f"split train is read from {tmp_path / 'elsewhere'}, outside of {tmp_path / 'set'}"
    ]


def test_roboflows_path_means_the_folder_beside_its_yaml(tmp_path):
    write(tmp_path, {}, ("set/train/images/a.png", "train/images/other.png"))
    found, notes = images(tmp_path / "set", "../train/images")
    assert found == ["train/images/a.png"]
    assert len(notes) == 1


def test_several_folders_and_lists_are_one_split_in_the_order_of_paths(tmp_path):
    write(tmp_path, {"l.txt": "b/z.png\n"}, ("c/y.png", "a/x.png", "b/z.png"))
    assert images(tmp_path, "c", "l.txt", "a")[0] == ["a/x.png", "b/z.png", "c/y.png"]


@pytest.mark.parametrize(
    "line",
    [
        "images/a.png",
        "./images/a.png",
        "lists/../images/a.png",
        "images\\a.png",
        "data/images/a.png",
        "/home/me/set/images/a.png",
        "C:\\me\\images\\a.png",
        "images/a.PNG",
        "images/a",
    ],
)
def test_lines_of_a_list_are_found_from_the_root_and_by_their_ends(tmp_path, line):
    write(tmp_path, {"lists/train.txt": f"\n{line}\r\n"}, ("images/a.png", "images/b.png"))
    assert images(tmp_path, "lists/train.txt")[0] == ["images/a.png"]


def test_lines_may_start_at_the_list_or_at_the_path(tmp_path):
    write(tmp_path, {"d/train.txt": "i/a.png\nj/b.png"}, ("d/i/a.png", "e/j/b.png"))
    assert images(tmp_path, "../d/train.txt", path="e")[0] == ["d/i/a.png", "e/j/b.png"]


def test_a_missing_image_of_a_list_is_found_out_later(tmp_path):
    write(tmp_path, {"train.txt": "a.png\nb.png"}, ("a.png",))
    description = Description("data.yaml", {0: "a"}, {"train": ("train.txt",)})
    _, image = list_images(str(tmp_path), description, ("train",), [])
    assert (image.file, image.where) == (str(tmp_path / "train.txt"), "line 2")
    with pytest.raises(ValueError, match=r"the image file is missing: b\.png"):
        image.find(ImageIndex(str(tmp_path)))


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (
            "valid/images",
            r"valid/images is neither a folder nor a list of images; there are 'bad.txt'",
        ),
        ("none.txt", r"none\.txt is neither a folder nor a list"),
        ("..", r"\.\. is neither a folder nor a list"),
        ("/", "/ is neither a folder nor a list"),
        ("empty", "no images are in 'empty'"),
        ("bad.txt", r"bad\.txt: split train: it is not UTF-8 text \(byte 0\)"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(tmp_path, written, what):
    write(tmp_path / "set", {"empty/x": "", "bad.txt": b"\xff\xfa"}, ("images/a.png",))
    with pytest.raises(DataError, match=what):
        images(tmp_path / "set", written)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("d/images/a.png", "d/labels/a.txt"),
        ("images/train/a.b.png", "labels/train/a.b.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("images/x/images/a.png", "images/x/labels/a.txt"),  # the last
        ("d/a.png", "d/a.txt"),
        ("my_images/a.png", "my_images/a.txt"),
        ("images.png", "images.txt"),
    ],
)
def test_labels_are_in_labels_or_beside_the_image(tmp_path, image, label):
    assert label_file(str(tmp_path / image)) == str(tmp_path / label)


def test_labels_beside_the_image_are_taken_where_labels_has_none(tmp_path):
    write(tmp_path, {"images/a.txt": ""})
    assert label_file(str(tmp_path / "images/a.png")) == str(tmp_path / "images/a.txt")
    write(tmp_path, {"labels/a.txt": ""})
    assert label_file(str(tmp_path / "images/a.png")) == str(tmp_path / "labels/a.txt")

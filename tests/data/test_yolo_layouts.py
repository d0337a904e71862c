import os

import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.yolo_layouts import (
    describe_folders,
    find_description_files,
    find_folders,
    read_description,
    read_names,
    splits_of_file,
)
from tests.data.folders import write

LABEL = "0 0.5 0.5 0.1 0.1\n"
YAML = "train: images\nnames: [a]\n"


def described(root):
    return [os.path.basename(path) for path in find_description_files(str(root))]


def test_a_yaml_with_names_and_splits_describes_the_set_under_any_name(tmp_path):
    write(tmp_path, {"pets.yaml": YAML, "hyp.yaml": "lr: 0.1", "x.yml": "["})
    assert described(tmp_path) == ["pets.yaml"]
    write(tmp_path, {"more.yml": YAML})
    assert described(tmp_path) == ["more.yml", "pets.yaml"]


def test_a_broken_data_yaml_is_still_one(tmp_path):
    write(tmp_path, {"data.yaml": "names: [", "obj.data": "names = a\n"})
    assert described(tmp_path) == ["data.yaml"]
    assert splits_of_file(str(tmp_path / "data.yaml")) == ("train",)


def test_darknet_data_is_read_where_no_yaml_is(tmp_path):
    files = {"obj.data": "# x\nclasses = 2\ntrain = data/train.txt\nvalid=val.txt\nnames = d/n\n"}
    write(tmp_path, {**files, "n": "cat\nbig dog\n\n", "other.data": "\0\1"})
    (path,) = find_description_files(str(tmp_path))
    assert splits_of_file(path) == ("train", "valid")
    description = read_description(path)
    assert description.names == {0: "cat", 1: "big dog"}
    assert description.splits == {"train": ("data/train.txt",), "valid": ("val.txt",)}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"data.yaml": "a: ["}, r"data\.yaml: the data set: it is not YAML .*; correct it$"),
        (
            {"data.yaml": "é".encode("latin-1")},
            r"data\.yaml: the data set: it is not UTF-8 text",
        ),
        ({"obj.data": "names = n\n"}, r"n: the class names: cannot be read \(No such file"),
        (
            {"obj.data": "names = n\nclasses = 3\n", "n": "a\nb\n"},
            r"obj\.data: the data set: classes is 3, but .*n has 2 names",
        ),
    ],
)
def test_what_is_wrong_with_a_description_is_named(tmp_path, files, what):
    write(tmp_path, files)
    with pytest.raises(DataError, match=what):
        read_description(find_description_files(str(tmp_path))[0])


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (("images/a.png", "labels/a.txt"), {"all": "images"}),
        (
            ("images/train/a.png", "images/val/b.png", "labels/train/a.txt"),
            {"train": "images/train", "val": "images/val"},
        ),
        (
            (
                "train/images/a.png",
                "train/labels/a.txt",
                "valid/images/b.png",
                "valid/labels/b.txt",
            ),
            {"train": "train/images", "valid": "valid/images"},
        ),
        (("train/a.png", "train/a.txt", "train/_darknet.labels"), {"train": "train"}),
        (
            ("images/a.png", "labels/a.txt", "train.txt", "val.txt"),
            {"train": "train.txt", "val": "val.txt"},
        ),
        (("a.png", "a.txt", "classes.txt"), {"all": "."}),
        (("a.png", "a.txt"), {}),
        (("images/a.png",), {}),
        (("images/a.png", "labels/readme.txt"), {}),
        (("images/a.png", "annotations/a.txt"), {}),
        ((), {}),
    ],
)
def test_folders_say_what_is_what(tmp_path, files, folders):
    contents = {"classes.txt": "a\n", "readme.txt": "This is a text of some words.\n"}
    texts = [name for name in files if not name.endswith(".png")]
    write(
        tmp_path,
        {name: contents.get(os.path.basename(name), LABEL) for name in texts},
        [name for name in files if name.endswith(".png")],
    )
    found = find_folders(str(tmp_path))
    assert {key: place.replace(os.sep, "/") for key, place in found.items()} == folders


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt", "train/_darknet.labels"])
def test_names_are_in_the_usual_files(tmp_path, place):
    write(tmp_path, {place: "cat\r\ndog \r\n"})
    description = describe_folders(str(tmp_path), {"train": "train"})
    assert description.names == {0: "cat", 1: "dog"}
    assert description.splits == {"train": ("train",)}


def test_files_of_names_must_agree(tmp_path):
    write(tmp_path, {"classes.txt": "a\nb", "labels/classes.txt": "a\nb\n"})
    assert describe_folders(str(tmp_path), {}).names == {0: "a", 1: "b"}
    write(tmp_path, {"labels/classes.txt": "b\na"})
    with pytest.raises(DataError, match=r"labels/classes\.txt: .* has other class names than"):
        describe_folders(str(tmp_path), {})


def test_without_names_the_remedy_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"no classes\.txt, obj\.names or data\.yaml; write classes"
    ):
        describe_folders(str(tmp_path), {})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a\n\nb\n", "the name of class 1 is '', not a name"),
        ("a\na\n", "more than one class is named 'a'"),
        ("", "there are no class names"),
    ],
)
def test_what_is_wrong_with_names_is_named(tmp_path, text, what):
    write(tmp_path, {"classes.txt": text})
    with pytest.raises(DataError, match=rf"classes\.txt: the class names: {what}; correct it"):
        read_names(str(tmp_path / "classes.txt"))

import os

import pytest

from jaxrcnn.data.image_index import ImageIndex, clean_parts, images_below, what_is_there
from tests.data.folders import write


def find(root, name, *places):
    path, renamed = ImageIndex(str(root)).find(name, [str(root / place) for place in places])
    return os.path.relpath(path, root).replace(os.sep, "/"), renamed


FILES = ("train/a.png", "test/a.png", "test/b.JPG", "deep/er/c.png", "d.jpg", "d.png")


@pytest.mark.parametrize(
    ("name", "places", "found"),
    [
        ("a.png", ("train",), ("train/a.png", False)),
        ("a.png", ("none", "test", "train"), ("test/a.png", False)),
        ("train\\a.png", (".",), ("train/a.png", False)),
        ("b.jpg", ("test",), ("test/b.JPG", False)),  # an ending in other letters
        ("b", ("test",), ("test/b.JPG", False)),  # none
        ("d", (".",), ("d.jpg", False)),  # of several the first
        ("C:\\data\\train\\a.png", (".",), ("train/a.png", True)),
        ("/data/test/a.png", ("train",), ("test/a.png", True)),
        ("x/y/c.png", (".",), ("deep/er/c.png", True)),
    ],
)
def test_an_image_is_found_in_its_places_or_by_the_end_of_its_path(tmp_path, name, places, found):
    write(tmp_path, {}, FILES)
    assert find(tmp_path, name, *places) == found


def test_a_path_from_the_root_of_the_file_system_is_taken_as_it_is(tmp_path):
    write(tmp_path, {}, FILES)
    path = str(tmp_path / "train/a.png")
    assert ImageIndex(str(tmp_path / "deep")).find(path, [str(tmp_path)]) == (path, False)


def test_several_files_of_one_name_are_a_fault(tmp_path):
    write(tmp_path, {}, FILES)
    with pytest.raises(ValueError, match=r"several files have this name: '.*a\.png', '.*a\.png'"):
        find(tmp_path, "/data/a.png", "deep")


@pytest.mark.parametrize("name", ["e.png", "b.png", "/", "..", "a\0b.png", "er"])
def test_an_image_that_is_missing_is_named(tmp_path, name):
    write(tmp_path, {}, FILES)
    with pytest.raises(ValueError, match="the image file is missing: "):
        find(tmp_path, name, ".")


def test_images_are_listed_in_order_without_hidden_ones(tmp_path):
    write(tmp_path, {"a/note.txt": ""}, ("b.png", "a/z.jpg", "a/.y.png", ".x/w.png", "c.PNG"[:5]))
    found = [os.path.relpath(path, tmp_path) for path in images_below(str(tmp_path))]
    assert found == ["b.png", "c.PNG", os.path.join("a", "z.jpg")]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("../train/images", ["train", "images"]),
        ("./a//b/../c", ["a", "c"]),
        ("C:\\x\\y", ["C:", "x", "y"]),
        ("/", []),
        ("", []),
    ],
)
def test_parts_of_a_path(path, parts):
    assert clean_parts(path) == parts


def test_what_a_folder_holds(tmp_path):
    assert what_is_there(str(tmp_path)) == "it is empty"
    write(tmp_path, {"a.csv": "", ".b": ""}, ("c.png", "d.png", "e/f.png"))
    assert what_is_there(str(tmp_path)) == "there are 'a.csv', 'e' and 2 images"
    none = str(tmp_path / "none")
    assert what_is_there(none) == f"{none} cannot be read (No such file or directory)"

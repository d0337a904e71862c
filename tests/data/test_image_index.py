import os

import pytest

from jaxrcnn.data.image_index import ImageIndex
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

import errno
import os
import pathlib

import pytest

from jaxrcnn.cli.image_files import file_names, find_images, image_ids
from jaxrcnn.config import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with images, other files, and hidden ones, all of them empty."""
    names = (
        *("photos/b.JPG", "photos/a.png", "photos/notes.txt", "photos/.hidden.png"),
        *("photos/more/c.TiFf", "photos/more/c.json", "photos/.cache/d.png", "photos/found/a.png"),
        *("empty/notes.txt", "[x].png", "scan", "7.png"),
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(folder, *given, out="photos/found"):
    return [str(file) for file in find_images([pathlib.Path(word) for word in given], folder / out)]


def test_files_are_taken_as_they_are_in_their_order(folder):
    assert find(folder, "scan", "7.png", "missing.png") == ["scan", "7.png", "missing.png"]


def test_a_folder_gives_its_images_and_those_below_but_no_results(folder):
    assert find(folder, "photos") == ["photos/a.png", "photos/b.JPG", "photos/more/c.TiFf"]
    assert find(folder, "photos", out="elsewhere") == [
        *("photos/a.png", "photos/b.JPG", "photos/found/a.png", "photos/more/c.TiFf"),
    ]


def test_a_pattern_that_the_shell_left_gives_the_images_it_matches(folder):
    assert find(folder, "photos/*") == ["photos/a.png", "photos/b.JPG"]
    assert find(folder, "photos/[ab].*") == ["photos/a.png", "photos/b.JPG"]
    assert find(folder, "**/[ac]*") == ["photos/a.png", "photos/found/a.png", "photos/more/c.TiFf"]


def test_a_file_whose_name_looks_like_a_pattern_is_taken(folder):
    assert find(folder, "[x].png") == ["[x].png"]


def test_a_file_that_is_named_twice_is_taken_once(folder):
    given = ["photos/a.png", "photos/../photos/a.png", str(folder / "photos/a.png"), "photos/*.png"]
    assert find(folder, *given) == ["photos/a.png"]


@pytest.mark.parametrize("given", ["empty", "photos/*.bmp", "nowhere/*"])
def test_nothing_found_is_an_error_that_names_the_argument(folder, given):
    with pytest.raises(ConfigError) as error:
        find(folder, "7.png", given)
    assert str(error.value).startswith(f"{given} holds no images (.jpg .jpeg ")


def test_a_folder_that_may_not_be_read_is_named(folder, monkeypatch):
    def scandir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)  # root, who may run this, may read any folder
    with pytest.raises(ConfigError, match="photos: Permission denied"):
        find(folder, "photos")


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000000000139.jpg", "a/285.png"), [139, 285]),
        (("0.jpg",), [0]),
        (("7.jpg", "007.png"), [1, 2]),
        (("7.jpg", "street.jpg"), [1, 2]),
        (("-7.jpg",), [1]),
        (("²³.jpg",), [1]),
        (("٣.jpg",), [1]),  # a decimal digit, and not of ASCII
    ],
)
def test_the_ids_are_the_numbers_that_the_images_are_called_or_their_places(tmp_path, names, ids):
    assert image_ids([tmp_path / name for name in names]) == ids


def test_file_names_are_unique_whatever_the_case_and_the_numbers():
    images = ["x/a.png", "y/A.JPG", "a_2.gif", "z/a.jpeg", "b.tif"]
    assert file_names(images) == ["a.png", "A_2.jpg", "a_2_2.png", "a_3.jpg", "b.png"]

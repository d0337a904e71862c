import pytest

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.coco_images import look_at_images
from jaxrcnn.data.coco_tables import read_split
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from tests.data.coco_files import TABLES, changed, write


def look(root):
    split = read_split(str(root), "train", FaultLog("raise"))
    return look_at_images(str(root), split, MAX_PIXELS, Inside([str(root)]))


@pytest.mark.parametrize(
    ("name", "renamed"),
    [
        ("a.png", False),
        ("train/a.png", False),
        ("train\\a.png", False),
        (" a.png ", False),
        ("other\\a.png", True),
        ("C:\\Users\\me\\a.png", True),
        ("/home/me/a.png", True),
    ],
)
def test_names_of_other_tools_and_systems_are_found(tmp_path, name, renamed):
    write(tmp_path, changed("images", 0, file_name=name))
    file = look(tmp_path)[0]
    assert file == (str(tmp_path / "train" / "a.png"), (30, 40), False, renamed)


def test_a_file_whose_own_name_has_a_backslash_comes_first(tmp_path):
    write(tmp_path, changed("images", 0, file_name="x\\a.png"))
    (tmp_path / "train" / "a.png").rename(tmp_path / "train" / "x\\a.png")
    assert look(tmp_path)[0].path == str(tmp_path / "train" / "x\\a.png")


def test_a_file_name_alone_must_be_the_only_one(tmp_path):
    tables = changed("images", 0, file_name="x\\a.png")
    tables["images"][1]["file_name"] = "y\\a.png"
    write(tmp_path, tables)
    for place, folder in enumerate("xy"):
        said = str(look(tmp_path)[place])
        assert said.startswith("the image file is missing: ")
        for path in (f"train/{folder}\\a.png", f"train/{folder}/a.png", f"{folder}/a.png"):
            assert str(tmp_path / path) in said


@pytest.mark.parametrize("missing", [["height"], ["width"], ["height", "width"]])
def test_a_missing_size_is_read_from_the_image(tmp_path, missing):
    write(tmp_path, changed("images", 0, **dict.fromkeys(missing)))
    assert look(tmp_path)[0].size == (30, 40)


def test_an_ending_may_be_in_other_letters(tmp_path):
    write(tmp_path, changed("images", 0, file_name="a.PNG"))
    file = look(tmp_path)[0]
    assert file == (str(tmp_path / "train" / "a.png"), (30, 40), False, False)


def test_a_file_may_be_in_any_folder_but_that_of_another_split(tmp_path):
    write(tmp_path, TABLES)
    image = tmp_path / "train" / "a.png"
    for folder, is_found in (("train/day 1", True), ("more/x", True), ("val/x", False)):
        (tmp_path / folder).mkdir(parents=True)
        image = image.rename(tmp_path / folder / "a.png")
        found = look(tmp_path)[0]
        if is_found:
            assert found == (str(image), (30, 40), False, True)
        else:
            assert str(found).startswith("the image file is missing: ")

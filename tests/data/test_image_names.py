import pytest

from jaxrcnn.data.image_names import bare_name, clean_parts, is_image, lower_ending, stem_of


def test_images_are_known_by_their_endings():
    assert is_image("a.JPG")
    assert is_image("a.b.png")
    assert not is_image("jpg")
    assert not is_image("a.txt")


@pytest.mark.parametrize(
    ("name", "bare", "lower"),
    [("a.JPG", "a", "a.jpg"), ("A.b.png", "A.b", "A.b.png"), ("a.B", "a.B", "a.B"), ("", "", "")],
)
def test_the_ending_of_an_image_is_known_from_other_dots(name, bare, lower):
    assert bare_name(name) == bare
    assert lower_ending(name) == lower


def test_stems_are_without_folders_of_any_system():
    assert stem_of("C:\\x\\a.jpg") == stem_of("x/a.png") == stem_of("a") == "a"


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

import pytest
from PIL import Image

from jaxrcnn.data.image_files import CHUNK, check_size, first_file, look_at
from jaxrcnn.data.images import MAX_PIXELS


def save(file, orientation=1, size=(5, 3)):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(file, exif=exif)
    return str(file)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_annotated_size_is_that_of_the_image_as_it_is_seen_or_stored(
    tmp_path, ending, orientation
):
    path = save(tmp_path / f"a.{ending}", orientation)  # stored 5 wide and 3 high
    sideways = orientation >= 5
    for height, width in ((3, 5), (5, 3)):
        if not sideways and (height, width) == (5, 3):
            with pytest.raises(ValueError, match=r"is 5x3 pixels .* annotated as 3x5"):
                check_size(path, height, width, MAX_PIXELS)
            continue
        file = check_size(path, height, width, MAX_PIXELS)
        assert file.size == (height, width)
        assert file.as_stored == (sideways and (height, width) == (3, 5))


@pytest.mark.parametrize(("height", "width"), [(None, None), (5, None), (None, 3)])
def test_a_missing_size_is_that_of_the_image_as_it_is_seen(tmp_path, height, width):
    path = save(tmp_path / "a.jpg", 6)
    file = check_size(path, height, width, MAX_PIXELS)
    assert (file.path, file.size, file.as_stored) == (path, (5, 3), False)


def test_a_square_image_is_read_as_it_is_seen(tmp_path):
    assert not check_size(save(tmp_path / "a.jpg", 6, (4, 4)), 4, 4, MAX_PIXELS).as_stored


@pytest.mark.parametrize(("height", "width"), [(3, 6), (6, None), (None, 4)])
def test_another_size_is_a_fault(tmp_path, height, width):
    path = save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="the image is 5x3 pixels"):
        check_size(path, height, width, MAX_PIXELS)


def test_an_image_of_too_many_pixels_is_a_fault(tmp_path):
    path = save(tmp_path / "a.png")
    assert check_size(path, 3, 5, 15).size == (3, 5)
    with pytest.raises(ValueError, match=r"its 5x3 pixels are more than data\.max_pixels=14"):
        check_size(path, 3, 5, 14)


def test_all_paths_that_were_tried_are_named(tmp_path):
    there = save(tmp_path / "a.png")
    missing = [str(tmp_path / "b.png"), str(tmp_path / "c" / "b.png")]
    assert first_file([*missing, there]) == there
    with pytest.raises(ValueError, match=r"is missing: .*b\.png or .*c/b\.png$"):
        first_file([*missing, missing[0]])


def test_what_is_found_stands_in_the_order_of_the_items():
    def look(item):
        if item == 3:
            raise ValueError("three")
        return -item

    found = look_at(range(2 * CHUNK + 1), look)
    assert str(found[3]) == "three"
    assert found[:3] + found[4:] == [-item for item in range(2 * CHUNK + 1) if item != 3]
    assert look_at([], look) == []

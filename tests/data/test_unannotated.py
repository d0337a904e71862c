import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.unannotated import open_images

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)


def open_all(images, on_error="raise"):
    faults = FaultLog(on_error)
    return open_images(images, ("a", "b"), (7, 9), faults), faults.lines


def test_files_and_images_in_memory_are_read_as_the_same_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    opened = Image.open(tmp_path / "a.png")
    turned = PIXELS[::-1].transpose(1, 0, 2)
    images = [tmp_path / "a.png", str(tmp_path / "a.png"), opened, opened, turned]
    dataset, _ = open_all(images)
    assert [record.image_id for record in dataset.records] == [0, 1, 2, 3, 4]
    assert dataset.records[0].name == str(tmp_path / "a.png")
    assert dataset.records[2].name == "images[2]"
    assert (dataset.class_names, dataset.category_ids) == (("a", "b"), (7, 9))
    for index in range(5):
        assert dataset.sizes[index].tolist() == [5, 3]
        np.testing.assert_array_equal(dataset.read_image(index), turned)
    assert opened.size == (5, 3)  # the caller's image is left as it is


def test_no_images_are_an_empty_data_set():
    assert len(open_all([])[0]) == 0


def test_what_is_no_image_is_refused_by_its_place():
    with pytest.raises(DataError, match=r"images\[1\]: got a NoneType, expected a path"):
        open_all([PIXELS, None])


def test_something_else_than_a_list_is_refused():
    with pytest.raises(DataError, match=r"expected a list of images, got a str"):
        open_all("a.png")


def test_files_that_cannot_be_opened_stop_or_are_left_out(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    images = [tmp_path / "none.png", tmp_path / "a.png", tmp_path]
    with pytest.raises(DataError, match=r"none\.png: No such file"):
        open_all(images)
    dataset, lines = open_all(images, "skip")
    assert lines == [
        f"{tmp_path / 'none.png'}: No such file or directory",
        f"{tmp_path}: is a directory, not a regular file",
    ]
    assert [record.image_id for record in dataset.records] == [1]
    np.testing.assert_array_equal(dataset.read_image(0), PIXELS)


def test_a_file_that_has_become_another_image_is_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    dataset, _ = open_all([tmp_path / "a.png"])
    Image.fromarray(PIXELS[:2]).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: it has not the size that its header says"):
        dataset.read_image(0)


def test_files_above_the_limit_are_refused_and_arrays_are_not(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    images = [tmp_path / "a.png", PIXELS]
    faults = FaultLog("skip")
    dataset = open_images(images, ("a",), (1,), faults, max_pixels=14)
    assert [record.image_id for record in dataset.records] == [1]
    assert "its 5x3 pixels are more than data.max_pixels=14" in faults.lines[0]
    dataset = open_images(images, ("a",), (1,), faults, max_pixels=15)
    np.testing.assert_array_equal(dataset.read_image(0), PIXELS)

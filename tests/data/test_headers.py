import os

import pytest
from PIL import Image

from jaxrcnn.data import headers
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.headers import Headers
from jaxrcnn.data.images import MAX_PIXELS, read_header

NAMES = ["a.png", "b.png"]


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(headers, "MANY", 1)
    monkeypatch.setattr(headers, "RECENT", 0)


@pytest.fixture
def read(monkeypatch):
    """The paths whose headers are read from the file."""
    paths = []

    def count(path, max_pixels):
        paths.append(path)
        return read_header(path, max_pixels)

    monkeypatch.setattr(headers, "read_header", count)
    return paths


def write(folder, width=5, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in NAMES:
        Image.new("RGB", (width, 3)).save(folder / name, exif=exif)


def sizes(folder, max_pixels=MAX_PIXELS):
    found = Headers([str(folder), *NAMES], len(NAMES))
    read = [found.read(i, str(folder / name), max_pixels) for i, name in enumerate(NAMES)]
    found.keep()
    return read


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_header_is_read_once(tmp_path, read, orientation):
    write(tmp_path, orientation=orientation)
    first = sizes(tmp_path)
    assert first == [read_header(tmp_path / name) for name in NAMES]
    assert len(read) == 2
    assert sizes(tmp_path) == first
    assert len(read) == 2


def test_another_image_in_the_place_of_one_is_noticed(tmp_path, read):
    write(tmp_path)
    sizes(tmp_path)
    info = os.stat(tmp_path / "a.png")
    Image.new("RGB", (6, 3)).save(tmp_path / "new.png")
    content = (tmp_path / "new.png").read_bytes()
    with open(tmp_path / "a.png", "r+b") as stream:  # the same file, as long, with the same time
        stream.write(content.ljust(info.st_size, b"\0")[: info.st_size])
    os.utime(tmp_path / "a.png", ns=(info.st_atime_ns, info.st_mtime_ns))
    assert [header.size for header in sizes(tmp_path)] == [(3, 6), (3, 5)]
    os.replace(tmp_path / "b.png", tmp_path / "a.png")
    write(tmp_path)
    os.remove(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png"):
        sizes(tmp_path)


def test_the_limit_of_pixels_is_that_of_this_time(tmp_path):
    write(tmp_path)
    sizes(tmp_path)
    with pytest.raises(DataError, match=r"its 5x3 pixels are more than data\.max_pixels=14"):
        sizes(tmp_path, max_pixels=14)


def test_a_file_that_has_just_changed_is_read_again(tmp_path, read, monkeypatch):
    monkeypatch.setattr(headers, "RECENT", 10**12)
    write(tmp_path)
    sizes(tmp_path)
    sizes(tmp_path)
    assert len(read) == 4


def test_headers_of_few_images_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "MANY", 3)
    write(tmp_path)
    sizes(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_what_was_kept_of_another_list_is_not_used(tmp_path, read):
    write(tmp_path)
    sizes(tmp_path)
    found = Headers([str(tmp_path), "a.png", "c.png"], 2)
    assert found.read(0, str(tmp_path / "a.png"), MAX_PIXELS).size == (3, 5)
    assert len(read) == 3

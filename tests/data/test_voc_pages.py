import re

import pytest
from PIL import Image

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.images import ENDINGS, MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.voc_pages import list_pages, read_page
from tests.data.voc_files import SIZE, item, write


def stems(root, *splits, on_error="raise"):
    log = FaultLog(on_error)
    return [listed.stem for listed in list_pages(str(root), splits or ("train",), log)]


def read(root):
    (listed,) = list_pages(str(root), ("train",), FaultLog("raise"))
    return read_page(listed, MAX_PIXELS, Inside([str(root)]))


@pytest.mark.parametrize(
    ("line", "pages", "stem"),
    [
        ("p1", ["p1"], "p1"),
        ("  p1\t", ["p1"], "p1"),
        ("p1  1", ["p1"], "p1"),
        ("p1 -1", ["p1"], "p1"),
        ("p1  0", ["p1"], "p1"),
        ("street (5)", ["street (5)", "street"], "street (5)"),
        ("street 1", ["street 1", "street"], "street 1"),
        ("street 1", ["street"], "street"),
        ("street 1  -1", ["street 1", "street"], "street 1"),
        ("street 5", ["street"], "street 5"),  # no flag: its annotation is missing
    ],
)
def test_a_line_is_a_name_perhaps_with_a_flag_behind_it(tmp_path, line, pages, stem):
    write(tmp_path, dict.fromkeys(pages, SIZE), lines=[line])
    assert stems(tmp_path) == [stem]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_name(tmp_path, encoding):
    write(tmp_path, {"p1": SIZE, "p2": SIZE})
    (tmp_path / "ImageSets/Main/train.txt").write_bytes("p1\r\n\r\np2\r\n".encode(encoding))
    assert stems(tmp_path) == ["p1", "p2"]


def test_an_image_that_is_listed_twice_is_a_fault(tmp_path):
    write(tmp_path, {"p1": SIZE, "p3": SIZE}, lines=["p1", "p1 1", "p3"])
    with pytest.raises(DataError, match=r"train\.txt: image p1: is listed twice"):
        stems(tmp_path)
    assert stems(tmp_path, on_error="skip") == ["p1", "p3"]


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: split none: cannot be read"):
        stems(tmp_path, "none", on_error="skip")


@pytest.mark.parametrize("ending", [".bmp", ".webp", ".tif", ".gif", ".Jpg", ".JPEG", ".png"])
def test_an_image_may_be_of_any_kind_in_letters_of_any_case(tmp_path, ending):
    assert ending.lower() in ENDINGS
    write(tmp_path, {"p.1": SIZE})
    (tmp_path / "JPEGImages" / "p.1.jpg").unlink()
    path = tmp_path / "JPEGImages" / f"p.1{ending}"
    Image.new("RGB", (40, 30)).save(path)
    assert read(tmp_path).image.path == str(path)


def test_of_several_images_the_jpeg_is_taken(tmp_path):
    write(tmp_path, {"p1": SIZE})
    Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages" / "p1.bmp")
    assert read(tmp_path).image.path == str(tmp_path / "JPEGImages" / "p1.jpg")


def test_the_path_of_a_missing_image_is_named(tmp_path):
    write(tmp_path, {"p1": SIZE})
    (tmp_path / "JPEGImages" / "p1.jpg").unlink()
    (tmp_path / "JPEGImages" / "p1.txt").touch()
    with pytest.raises(ValueError, match=r"is missing: .*/JPEGImages/p1 with any of \.jpg \.jpeg"):
        read(tmp_path)


def test_ids_may_be_in_folders(tmp_path):
    write(tmp_path, {"p1": SIZE}, lines=["a/p1"])
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder / "a").mkdir()
        for path in (tmp_path / folder).glob("p1.*"):
            path.rename(path.parent / "a" / path.name)
    assert read(tmp_path).image.path == str(tmp_path / "JPEGImages" / "a" / "p1.jpg")


@pytest.mark.parametrize(
    "size",
    [
        "",
        "<size><width>0</width><height>0</height></size>",
        "<size><width>40.0</width><height> 30 </height></size>",
        "<size><width>40</width></size>",
    ],
)
def test_a_missing_size_is_read_from_the_image(tmp_path, size):
    write(tmp_path, {"p1": size + item()})
    assert read(tmp_path).image.size == (30, 40)


def test_an_image_without_a_size_is_measured_as_it_is_seen(tmp_path):
    write(tmp_path, {"p1": item()})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages" / "p1.jpg", exif=exif)
    assert read(tmp_path).image.size == (40, 30)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml_may_begin_with_a_byte_order_mark(tmp_path, encoding):
    write(tmp_path, {"p1": SIZE})
    page = f"<annotation>{SIZE}{item('straße')}</annotation>".encode(encoding)
    (tmp_path / "Annotations" / "p1.xml").write_bytes(page)
    assert [found.name for found in read(tmp_path).objects] == ["straße"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("0", False), ("1", True), ("True", True), ("false", False), (" 1 ", True), ("", False)],
)
def test_a_mark_is_read_where_its_meaning_is_certain(tmp_path, written, expected):
    write(tmp_path, {"p1": SIZE + item(difficult=f"<difficult>{written}</difficult>")})
    assert [found.difficult for found in read(tmp_path).objects] == [expected]


def test_objects_are_read_as_they_are_written(tmp_path):
    write(tmp_path, {"p1": SIZE + item(" dog\n") + item("cat", (" 1.5 ", 2, "3e0", 4))})
    page = read(tmp_path)
    assert [tuple(found) for found in page.objects] == [
        (1, "dog", (2, 3, 10, 20), False),
        (2, "cat", (1.5, 2, 3, 4), False),
    ]
    assert (page.number, page.faults) == (2, [])


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (item(corners=("left", 3, 4, 20)), "bndbox of 'dog' is ['left', '3', '4', '20'], not four"),
        (item(corners=("", 3, 4, 20)), "not four numbers"),
        (item(corners=("12,5", 3, 4, 20)), "not four numbers"),
        ("<object><name>dog</name></object>", "not four numbers"),
        (item(""), "it has no name"),
        (item(" "), "it has no name"),
        ("<object></object>", "it has no name"),
        (item(difficult="<difficult>yes</difficult>"), "'dog' is 'yes' (str), neither 0 nor 1"),
    ],
)
def test_an_object_that_cannot_be_understood_costs_itself_alone(tmp_path, faulty, said):
    write(tmp_path, {"p1": SIZE + item("cat") + faulty + item("owl")})
    page = read(tmp_path)
    assert [(found.place, found.name) for found in page.objects] == [(1, "cat"), (3, "owl")]
    assert page.number == 3
    (fault,) = page.faults
    assert fault.startswith("object 2: ")
    assert said in fault


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("!<annotation><size>", "the annotation is not XML"),
        ('!<?xml version="1.0" encoding="klingon"?><annotation/>', "the annotation is not XML"),
        ('!<?xml version="1.0" encoding="utf-16"?><annotation/>', "the annotation is not XML"),
        ("!", "the annotation is not XML"),
        ("!<annotations/>", "its root element is <annotations>, not VOC's <annotation>"),
        (SIZE.replace("40", "wide"), "width is 'wide', not pixels"),
        (SIZE.replace("40", "40.5"), "width is '40.5', not pixels"),
        (SIZE.replace("40", "inf"), "width is 'inf', not pixels"),
        (SIZE.replace("40", "-40"), "width is -40, which is not a valid image size"),
        (
            SIZE.replace("40", "41"),
            "the image is 40x30 pixels (width x height), annotated as 41x30",
        ),
    ],
)
def test_a_page_that_cannot_be_understood_is_a_fault(tmp_path, content, said):
    write(tmp_path, {"p1": content})
    with pytest.raises(ValueError, match=re.escape(said)):
        read(tmp_path)

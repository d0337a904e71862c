import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.voc import VOC_CLASSES, read_voc
from tests.data.voc_files import SIZE, item, write


def test_corners_are_one_based_and_inclusive(tmp_path):
    marked = "<difficult>1</difficult>"
    one_pixel = item("cat", (5, 6, 5, 6))
    pages = {
        "p1": SIZE + item() + item("cat", (1, 1, 40, 30), marked),
        "p2": SIZE + one_pixel,
        "p3": SIZE,
    }
    write(tmp_path, pages)
    dataset = read_voc(str(tmp_path), ("train",))
    first, second, third = dataset.records
    np.testing.assert_array_equal(first.boxes, [[1, 2, 10, 20], [0, 0, 40, 30]])
    np.testing.assert_array_equal(second.boxes, [[4, 5, 5, 6]])
    assert third.boxes.shape == (0, 4)
    assert dataset.class_names == VOC_CLASSES
    assert dataset.category_ids == tuple(range(1, 21))
    np.testing.assert_array_equal(first.labels, [12, 8])  # dog and cat in VOC's order
    np.testing.assert_array_equal(first.area, [9 * 18, 1200])
    np.testing.assert_array_equal(first.difficult, [False, True])
    np.testing.assert_array_equal(first.ignore, [False, True])
    assert not first.crowd.any()
    assert [record.image_id for record in dataset.records] == [1, 2, 3]
    assert (first.name, first.file) == ("p1", str(tmp_path / "JPEGImages" / "p1.jpg"))
    ids = np.concatenate([record.annotation_ids for record in dataset.records])
    np.testing.assert_array_equal(ids, [1, 2, 3])
    kept = read_voc(str(tmp_path), ("train",), keep_difficult=True)
    assert not kept.records[0].ignore.any()
    np.testing.assert_array_equal(kept.records[0].difficult, [False, True])


def test_other_names_are_sorted_unless_they_are_given(tmp_path):
    write(tmp_path, {"p1": SIZE + item("red") + item("blue")})
    assert read_voc(str(tmp_path), ("train",)).class_names == ("blue", "red")
    dataset = read_voc(str(tmp_path), ("train",), classes=("red", "green", "blue"))
    assert dataset.class_names == ("red", "green", "blue")
    np.testing.assert_array_equal(dataset.records[0].labels, [1, 3])


def test_a_split_may_name_a_folder_below_the_root(tmp_path):
    write(tmp_path / "VOC2007", {"p1": SIZE + item()}, "trainval")
    write(tmp_path / "VOC2012", {"p1": SIZE + item("cat"), "p2": SIZE}, "trainval")
    dataset = read_voc(str(tmp_path), ("VOC2007/trainval", "VOC2012/trainval"))
    assert [record.image_id for record in dataset.records] == [1, 2, 3]
    assert [record.name for record in dataset.records] == ["p1", "p1", "p2"]
    assert dataset.records[1].file == str(tmp_path / "VOC2012" / "JPEGImages" / "p1.jpg")


NOT_ONE_BASED = "boxes with coordinates that are fractional or below 1"


def test_coordinates_from_zero_are_taken_as_they_are_or_noted(tmp_path):
    corners = [(0, 0, 40, 30), (0.5, 2.25, 10, 20), (1, 1, 4, 4)]
    write(tmp_path, {"p1": SIZE + "".join(item(corners=each) for each in corners)})
    dataset = read_voc(str(tmp_path), ("train",), one_based=False)
    np.testing.assert_array_equal(dataset.records[0].boxes, corners)
    assert (dataset.clipped, dataset.notes) == (0, ())
    dataset = read_voc(str(tmp_path), ("train",))
    expected = [(0, 0, 40, 30), (0, 1.25, 10, 20), (0, 0, 4, 4)]
    np.testing.assert_array_equal(dataset.records[0].boxes, expected)
    assert dataset.clipped == 2
    remedy = "(if they count from 0, set data.voc_one_based=False)"
    assert f"; 2 {NOT_ONE_BASED} {remedy}" in dataset.summary()


def test_boxes_that_reach_out_by_a_pixel_are_cut_and_counted(tmp_path):
    write(tmp_path, {"p1": SIZE + item(corners=(1, 1, 41, 30))})
    dataset = read_voc(str(tmp_path), ("train",))
    np.testing.assert_array_equal(dataset.records[0].boxes, [[0, 0, 40, 30]])
    assert (dataset.clipped, dataset.notes) == (1, ())


def test_boxes_in_shares_of_the_image_are_noted(tmp_path):
    write(tmp_path, {"p1": SIZE + item(corners=(0.1, 0.2, 0.6, 0.9))})
    for one_based in (True, False):
        dataset = read_voc(str(tmp_path), ("train",), one_based=one_based)
        assert "all boxes are between 0 and 1" in dataset.notes[-1]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_boxes_of_other_names_are_left_out_and_counted(tmp_path, on_error):
    pages = {"p1": SIZE + item(), "p2": SIZE + item("dgo") + item(), "p3": SIZE + item("cat")}
    write(tmp_path, pages)
    dataset = read_voc(str(tmp_path), ("train",), ("dog",), on_error=on_error)
    assert [len(record.boxes) for record in dataset.records] == [1, 1, 0]
    ids = np.concatenate([record.annotation_ids for record in dataset.records])
    np.testing.assert_array_equal(ids, [1, 3])  # of four objects
    assert dataset.summary() == (
        "train: 3 images, 2 boxes (0 to ignore), 1 class; 2 boxes of other classes left out"
    )


def test_a_class_that_no_object_has_is_named(tmp_path):
    write(tmp_path, {"p1": SIZE + item()})
    dataset = read_voc(str(tmp_path), ("train",), ("cat", "dog", "emu"))
    assert dataset.notes == ("no class is named 'cat', 'emu' (the classes are 'dog')",)
    assert read_voc(str(tmp_path), ("train",)).notes == ()  # few sets have all of the twenty


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_box_without_area_is_left_out_and_counted(tmp_path, on_error):
    write(tmp_path, {"p1": SIZE + item() + item("cat", (9, 3, 8, 20))})
    dataset = read_voc(str(tmp_path), ("train",), on_error=on_error)
    np.testing.assert_array_equal(dataset.records[0].boxes, [[1, 2, 10, 20]])
    assert dataset.summary().endswith("; 1 box without width or height left out")


FAULTY_BOXES = {
    "inverted": (item(corners=(9, 3, 4, 20)), "'dog': the box (8, 2, 4, 20) is inverted"),
    "NaN": (item(corners=("nan", 3, 4, 20)), "not finite"),
    "infinite": (item(corners=(1, 3, "1e999", 20)), "not finite"),
    "outside": (item(corners=(42, 3, 50, 20)), "lies outside"),
    "reaching out": (item(corners=(30, 3, 42, 20)), "extends beyond"),
    "text": (item(corners=("left", 3, 4, 20)), "not four numbers"),
    "no name": (item(""), "no name"),
}


@pytest.mark.parametrize("name", FAULTY_BOXES)
def test_a_faulty_box_stops_or_is_left_out_without_its_image(tmp_path, name):
    box, what = FAULTY_BOXES[name]
    pages = {"p1": SIZE + item(), "p2": SIZE + item() + box + item(), "p3": SIZE + item("cat")}
    write(tmp_path, pages)
    beginning = f"{tmp_path / 'Annotations' / 'p2.xml'}: image p2: object 2"
    dataset = check_faulty(tmp_path, beginning, what)
    assert [record.name for record in dataset.records] == ["p1", "p2", "p3"]
    ids = [record.annotation_ids.tolist() for record in dataset.records]
    assert ids == [[1], [2, 4], [5]]


def check_faulty(root, beginning, what):
    """The line of the only fault stops, or is kept; returns the data set without it."""
    with pytest.raises(DataError) as error:
        read_voc(str(root), ("train",))
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(beginning)
    assert what in line
    assert line.endswith("data.on_error=skip")
    dataset = read_voc(str(root), ("train",), on_error="skip")
    assert dataset.skipped == (line,)
    assert "1 faulty record left out" in dataset.summary()
    return dataset


FAULTY_PAGES = {
    "not XML": ("Annotations/p2.xml", b"<annotation><size>", "is not XML"),
    "no annotation": ("Annotations/p2.xml", None, "cannot be read (No such file"),
    "no image": ("JPEGImages/p2.jpg", None, "the image file is missing"),
    "no JPEG": ("JPEGImages/p2.jpg", b"nothing", "p2.jpg: not an image, or damaged"),
}


@pytest.mark.parametrize("name", FAULTY_PAGES)
def test_a_faulty_page_stops_or_is_left_out_and_counted(tmp_path, name):
    file, content, what = FAULTY_PAGES[name]
    write(tmp_path, {"p1": SIZE + item(), "p2": SIZE, "p3": SIZE + item("cat")})
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    dataset = check_faulty(tmp_path, f"{tmp_path / 'Annotations' / 'p2.xml'}: image p2: ", what)
    assert [record.name for record in dataset.records] == ["p1", "p3"]


def test_an_id_that_is_listed_twice_is_a_fault(tmp_path):
    pages = {"p1": SIZE + item(), "p3": SIZE + item("cat")}
    write(tmp_path, pages)
    write(tmp_path, pages, "trainval")
    with pytest.raises(DataError, match="listed twice"):
        read_voc(str(tmp_path), ("trainval", "train"))
    dataset = read_voc(str(tmp_path), ("trainval", "train"), on_error="skip")
    assert [record.image_id for record in dataset.records] == [1, 2]


def test_an_image_above_the_limit_is_a_fault_until_the_limit_is_raised(tmp_path):
    write(tmp_path, {"p1": SIZE + item()})
    with pytest.raises(
        DataError, match=r"p1\.jpg: its 40x30 pixels are more than data\.max_pixels"
    ):
        read_voc(str(tmp_path), ("train",), max_pixels=1199)
    dataset = read_voc(str(tmp_path), ("train",), max_pixels=1200)
    assert dataset.read_image(0).shape == (30, 40, 3)


def laughs(depth=9):
    """Entities of entities: ten to the power of `depth` words, were they read."""
    lines = [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "lol"}">' for i in range(depth + 1)]
    return f"<!DOCTYPE annotation [{''.join(lines)}]><annotation>&a{depth};</annotation>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_not_read(tmp_path, encoding):
    secret = tmp_path / "secret.txt"
    secret.write_text("dog")
    outside = f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "file://{secret}">]>'
    pages = [laughs(), f"{outside}<annotation>{item(name='&x;')}</annotation>"]
    write(tmp_path / "set", {"p0": SIZE + item(), "p1": ""})
    for page in pages:
        header = f'<?xml version="1.0" encoding="{encoding}"?>'
        (tmp_path / "set/Annotations/p1.xml").write_bytes((header + page).encode(encoding))
        with pytest.raises(DataError, match=r"p1.xml: .*declares entities, which are not read"):
            read_voc(str(tmp_path / "set"), ["train"])

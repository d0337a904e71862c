import numpy as np
import pytest

from jaxrcnn.data.annotated import BadBox, Box, Page, below, lines_of, make_dataset, read_annotation
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_files import ImageFile
from jaxrcnn.data.images import MAX_PIXELS


def page(number, boxes, faults=(), renamed=False, **options):
    """Image `number`, of 40x20 pixels, with boxes of (class, corners)."""
    image = ImageFile(f"/set/p{number}.png", (20, 40), False, renamed)
    found = [Box(n, f"line {n}", name, corners) for n, (name, corners) in enumerate(boxes, 1)]
    return Page(number, "list", f"line {number}", image, found, faults, **options)


def make(*pages, listed=("cat", "dog"), classes=(), on_error="raise"):
    log = FaultLog(on_error)
    return make_dataset("/set", ["a", "b"], pages, listed, classes, log, MAX_PIXELS, ["a note"])


def test_pages_become_records():
    first = page(1, [("dog", (1, 2, 3, 4.5)), ("cat", (0, 0, 41, 20))])
    dataset = make(first, page(2, []), page(5, [("dog", (5, 5, 5, 9))]))
    assert (dataset.name, dataset.class_names) == ("a+b", ("cat", "dog"))
    assert [(r.image_id, r.name, r.file) for r in dataset.records] == [
        (1, "p1.png", "/set/p1.png"),
        (2, "p2.png", "/set/p2.png"),
        (5, "p5.png", "/set/p5.png"),
    ]
    np.testing.assert_array_equal(dataset.records[0].boxes, [[1, 2, 3, 4.5], [0, 0, 40, 20]])
    np.testing.assert_array_equal(dataset.records[0].labels, [2, 1])
    assert (dataset.clipped, dataset.empty_boxes, dataset.other_boxes) == (1, 1, 0)
    assert dataset.notes == ("a note",)


def test_shares_are_of_the_width_and_the_height():
    (record,) = make(page(1, [("cat", (0.25, 0.5, 0.5, 1))], in_shares=True)).records
    np.testing.assert_array_equal(record.boxes, [[10, 10, 20, 20]])


def test_boxes_in_pixels_that_look_like_shares_are_noted():
    boxes = [("cat", (0.25, 0.5, 0.5, 1))]
    assert "all boxes are between 0 and 1" in make(page(1, boxes)).notes[-1]
    assert make(page(1, boxes, in_shares=True)).notes == ("a note",)


def test_boxes_of_other_classes_are_left_out_and_counted():
    dataset = make(page(1, [("dog", (1, 2, 3, 4)), ("cat", (1, 2, 3, 4))]), classes=("emu", "cat"))
    assert (dataset.class_names, dataset.source_classes) == (("emu", "cat"), ("cat", "dog"))
    np.testing.assert_array_equal(dataset.records[0].labels, [2])
    assert dataset.other_boxes == 1
    assert dataset.notes[-1] == "no class is named 'emu' (the classes are 'cat', 'dog')"
    assert make(classes=("emu",), listed=()).notes[-1] == "no class is named 'emu'"


def test_images_found_elsewhere_are_counted():
    dataset = make(page(1, [], renamed=True), page(2, []))
    assert dataset.notes[-1] == "1 image found by file name alone, in another folder"


def test_faults_name_the_file_of_the_boxes_and_the_place():
    bad = page(1, [("cat", (9, 9, 3, 12))], [BadBox("line 7", "x")], boxes_file="p1.txt")
    with pytest.raises(DataError, match=r"^p1\.txt: line 7: x; correct it"):
        make(bad)
    last = page(2, [("cat", (1, 1, 2, 2))])
    dataset = make(bad, last, on_error="skip")
    assert [line.split(";")[0] for line in dataset.skipped] == [
        "p1.txt: line 7: x",
        "p1.txt: line 1: 'cat': the box (9, 9, 3, 12) is inverted",
    ]
    assert dataset.records[1].annotation_ids == [3]  # of three boxes


def test_an_image_that_is_named_twice_is_a_fault():
    again = page(1, [])._replace(where="line 9")
    with pytest.raises(
        DataError, match=r"^list: line 9: the image /set/p1.png is listed twice, fir"
    ):
        make(page(1, []), again)
    assert len(make(page(1, []), again, on_error="skip")) == 1


def test_lines_end_as_on_any_system():
    assert lines_of("a \r\n\n\tb\rc") == ["a", "", "b", "c"]


def test_a_name_is_the_path_below_the_root(tmp_path):
    assert below("/set", "/set/a/b.png") == "a/b.png"
    assert below("/set", "/other/b.png") == "/other/b.png"


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(DataError, match=r"a\.txt: the list: cannot be read \(No such file"):
        read_annotation(str(path), "the list")
    path.write_bytes(b"ab\xe9")
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 2\); save it as UTF-8$"):
        read_annotation(str(path), "the list")

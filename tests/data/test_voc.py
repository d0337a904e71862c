import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.voc import VOC_CLASSES, read_voc

SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def item(name="dog", corners=(2, 3, 10, 20), difficult=""):
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object>{part}<name>{name}</name>{difficult}<bndbox>{box}</bndbox></object>"


def write(root, pages, split="train", lines=None):
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, content in pages.items():
        page = content if content.startswith("!") else f"<annotation>{content}</annotation>"
        (root / "Annotations" / f"{stem}.xml").write_text(page)
        Image.new("RGB", (40, 30)).save(root / "JPEGImages" / f"{stem}.jpg")
    listed = list(pages) if lines is None else lines
    (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(listed) + "\n\n")


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


def test_lists_of_one_class_and_other_extensions_are_understood(tmp_path):
    write(tmp_path, {"p1": SIZE}, lines=["p1  1"])
    (tmp_path / "JPEGImages" / "p1.jpg").rename(tmp_path / "JPEGImages" / "p1.PNG")
    assert read_voc(str(tmp_path), ("train",)).records[0].file.endswith("p1.PNG")


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
def test_a_missing_size_is_read_from_the_image(tmp_path, size):
    write(tmp_path, {"p1": size + item()})
    record = read_voc(str(tmp_path), ("train",)).records[0]
    assert (record.height, record.width) == (30, 40)


def test_boxes_from_zero_based_tools_are_cut_and_counted(tmp_path):
    write(tmp_path, {"p1": SIZE + item(corners=(0, 0, 41, 30))})
    dataset = read_voc(str(tmp_path), ("train",))
    np.testing.assert_array_equal(dataset.records[0].boxes, [[0, 0, 40, 30]])
    assert dataset.clipped == 1


FAULTY = {
    "not XML": ("!<annotation><size>", "is not XML"),
    "inverted": (SIZE + item(corners=(9, 3, 4, 20)), "object 1, 'dog', (8, 2, 4, 20) is empty"),
    "empty": (SIZE + item() + item(corners=(9, 3, 8, 20)), "object 2, 'dog', (8, 2, 8, 20) is"),
    "NaN": (SIZE + item(corners=("nan", 3, 4, 20)), "not finite"),
    "infinite": (SIZE + item(corners=(1, 3, "1e999", 20)), "not finite"),
    "text": (SIZE + item(corners=("left", 3, 4, 20)), "not four numbers"),
    "no corner": (SIZE + item(corners=("", 3, 4, 20)), "not four numbers"),
    "no box": (SIZE + "<object><name>dog</name></object>", "not four numbers"),
    "outside": (SIZE + item(corners=(42, 3, 50, 20)), "lies outside"),
    "reaching out": (SIZE + item(corners=(30, 3, 42, 20)), "reaches out"),
    "size": (SIZE.replace("40", "wide") + item(), "not pixels"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_page_stops_or_is_left_out_and_counted(tmp_path, name):
    page, what = FAULTY[name]
    write(tmp_path, {"p1": SIZE + item(), "p2": page, "p3": SIZE + item("cat")})
    file = tmp_path / "Annotations" / "p2.xml"
    check_faulty(tmp_path, f"{file}: image p2: ", what)


def check_faulty(root, beginning, what, classes=()):
    with pytest.raises(DataError) as error:
        read_voc(str(root), ("train",), classes)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(beginning)
    assert what in line
    assert line.endswith("data.on_error=skip")
    dataset = read_voc(str(root), ("train",), classes, on_error="skip")
    assert dataset.skipped == (line,)
    assert [record.name for record in dataset.records] == ["p1", "p3"]
    assert "1 faulty records left out" in dataset.summary()


@pytest.mark.parametrize("missing", ["JPEGImages/p2.jpg", "Annotations/p2.xml"])
def test_a_missing_file_is_found_at_opening(tmp_path, missing):
    write(tmp_path, {"p1": SIZE + item(), "p2": SIZE, "p3": SIZE + item("cat")})
    (tmp_path / missing).unlink()
    what = "file is missing" if "JPEG" in missing else "cannot be read (No such file"
    check_faulty(tmp_path, f"{tmp_path / 'Annotations' / 'p2.xml'}: image p2: ", what)


def test_a_name_beside_the_classes_is_a_fault(tmp_path):
    write(tmp_path, {"p1": SIZE + item(), "p2": SIZE + item("dgo"), "p3": SIZE + item("cat")})
    beginning = f"{tmp_path / 'Annotations' / 'p2.xml'}: image p2: "
    check_faulty(tmp_path, beginning, "the name 'dgo' is not among", classes=("dog", "cat"))


def test_an_id_that_is_listed_twice_is_a_fault(tmp_path):
    pages = {"p1": SIZE + item(), "p3": SIZE + item("cat")}
    write(tmp_path, pages, lines=["p1", "p1", "p3"])
    file = tmp_path / "ImageSets" / "Main" / "train.txt"
    check_faulty(tmp_path, f"{file}: image p1: ", "listed twice")
    write(tmp_path, pages, "trainval")
    with pytest.raises(DataError, match="listed twice"):
        read_voc(str(tmp_path), ("trainval", "train"))


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: split none: cannot be read"):
        read_voc(str(tmp_path), ("none",), on_error="skip")


def test_a_broken_image_without_an_annotated_size_is_a_fault(tmp_path):
    write(tmp_path, {"p1": item(), "p2": item(), "p3": item("cat")})
    (tmp_path / "JPEGImages" / "p2.jpg").write_bytes(b"nothing")
    beginning = f"{tmp_path / 'Annotations' / 'p2.xml'}: image p2: "
    check_faulty(tmp_path, beginning, "cannot be decoded")

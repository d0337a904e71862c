"""Pascal VOC's files as tools export them; the same two images are read from every layout."""

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.voc import VOC_CLASSES, read_voc
from jaxrcnn.data.voc_layouts import find_splits
from tests.data import voc_files
from tests.data.voc_files import SIZE, item

PAGE = "<folder>x</folder><path>C:\\x\\p.jpg</path>" + SIZE


def put(root, xml, images, stems=("p2", "p10"), ending=".jpg", names=("cat", "dog"), written=""):
    """Write XML files into a folder, and their images into another."""
    for folder in (xml, images):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, name in zip(stems, names, strict=True):
        page = f"<annotation>{PAGE}{written.format(stem)}{item(name)}</annotation>"
        (root / xml / f"{stem}.xml").write_text(page)
        file = f"image_{stem}" if written else stem
        Image.new("RGB", (40, 30)).save(root / images / f"{file}{ending}")


LAYOUTS = {
    "without ImageSets": ("Annotations", "JPEGImages", "all"),
    "FiftyOne": ("labels", "data", "all"),
    "images elsewhere": ("annotations", "photos", "all"),
    "LabelImg": (".", ".", "all"),
    "LabelImg, a split": ("val", "val", "val"),
    "Roboflow": ("valid", "valid", "valid"),
    "Kaggle": ("annotations", "images", "all"),
    "Kaggle, a split": ("train/annotations", "train/images", "train"),
    "Kaggle, splits below": ("annotations/train", "images/train", "train"),
    "XML beside a folder of images": (".", "images", "all"),
    "images beside a folder of XML": ("Annotations", ".", "all"),
    "both in Annotations": ("Annotations", "Annotations", "all"),
}


@pytest.mark.parametrize("ending", [".jpg", ".PNG"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_found_and_read(tmp_path, name, ending):
    xml, images, split = LAYOUTS[name]
    put(tmp_path, xml, images, ending=ending)
    assert find_splits(str(tmp_path)) == {split: "*.xml" if xml == "." else f"{xml}/*.xml"}
    dataset = read_voc(str(tmp_path), (split,))
    assert [record.name for record in dataset.records] == ["p10", "p2"]  # by name
    assert [record.image_id for record in dataset.records] == [1, 2]
    files = [(tmp_path / images / f"{stem}{ending}").resolve() for stem in ("p10", "p2")]
    assert [record.file for record in dataset.records] == list(map(str, files))
    assert dataset.class_names == ("cat", "dog")  # no lists, so not all of VOC's twenty
    assert dataset.notes == ()
    np.testing.assert_array_equal(dataset.records[0].boxes, [[1, 2, 10, 20]])
    np.testing.assert_array_equal(dataset.records[0].labels, [2])


def test_splits_of_folders_keep_their_names(tmp_path):
    for place, split in enumerate(("train", "valid", "test")):
        put(tmp_path, split, split, stems=(f"a{place}", f"b{place}"))
    assert list(find_splits(str(tmp_path))) == ["test", "train", "valid"]
    dataset = read_voc(str(tmp_path), ("valid", "train"))
    assert [record.name for record in dataset.records] == ["a1", "b1", "a0", "b0"]


def test_the_image_may_have_the_name_that_the_file_gives(tmp_path):
    put(tmp_path, "annotations", "images", written="<filename>C:\\x\\image_{}.jpg</filename>")
    dataset = read_voc(str(tmp_path), ("all",))
    assert [record.file.rsplit("/")[-1] for record in dataset.records] == [
        "image_p10.jpg",
        "image_p2.jpg",
    ]


def test_images_without_an_xml_file_are_counted(tmp_path):
    put(tmp_path, ".", ".")
    for name in ("p3.jpg", "p4.png", "._p2.jpg"):
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    dataset = read_voc(str(tmp_path), ("all",))
    assert dataset.notes == ("2 images without an XML file left out",)


def test_lists_of_one_class_are_no_splits(tmp_path):
    voc_files.write(tmp_path, {"p1": SIZE + item("cat"), "p2": SIZE + item("dog")}, "train")
    voc_files.write(tmp_path, {}, "cat_train", ["p1  1", "p2 -1"])
    voc_files.write(tmp_path, {}, "small_train", ["p1"])  # a list of all classes
    found = find_splits(str(tmp_path))
    assert found == {x: f"ImageSets/Main/{x}.txt" for x in ("small_train", "train")}
    assert read_voc(str(tmp_path), ("train",)).class_names == VOC_CLASSES
    assert len(read_voc(str(tmp_path), ("cat_train",))) == 2  # it can still be named


def test_splits_of_vocs_own_folders_begin_with_them(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        voc_files.write(tmp_path / year, {"p1": SIZE}, "train")
    assert find_splits(str(tmp_path)) == {
        f"{year}/train": f"{year}/ImageSets/Main/train.txt" for year in ("VOC2007", "VOC2012")
    }


def test_other_xml_is_no_split_and_is_called_by_its_name(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    assert find_splits(str(tmp_path)) == {}
    put(tmp_path, ".", ".")
    with pytest.raises(DataError, match=r"its root element is <annotations>.*CVAT's XML"):
        read_voc(str(tmp_path), ("all",))
    assert len(read_voc(str(tmp_path), ("all",), on_error="skip")) == 2


def test_what_is_hidden_is_no_split(tmp_path):
    put(tmp_path, "__MACOSX/train", "__MACOSX/train")
    put(tmp_path, ".cache", ".cache")
    assert find_splits(str(tmp_path)) == {}


def test_a_split_that_is_not_there_lists_those_that_are(tmp_path):
    put(tmp_path, "train", "train")
    with pytest.raises(DataError) as error:
        read_voc(str(tmp_path), ("val",))
    assert str(error.value) == (
        f"{tmp_path}: split val: there is no such split; the folder has train (train/*.xml); "
        "give --config.data.train_splits train"
    )


def test_lists_may_have_endings_and_images_another_folder(tmp_path):
    voc_files.write(tmp_path, {"a": SIZE + item()}, "train", ["a.jpg"])
    (tmp_path / "JPEGImages").rename(tmp_path / "images")
    (record,) = read_voc(str(tmp_path), ["train"]).records
    assert (record.name, record.file) == ("a", str(tmp_path / "images" / "a.jpg"))

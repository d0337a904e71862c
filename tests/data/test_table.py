import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.table import find_splits, read_table
from tests.data.folders import boxes_of, write

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
TRAIN = HEAD + "b.png,40,30,dog,1,2,11.5,12\na.png,40,30,cat,0,0,40,30\nb.png,40,30,cat,5,5,6,7\n"
FILES = {"train_labels.csv": TRAIN, "test_labels.csv": HEAD + "c.png,40,30,,,,,\n"}
IMAGES = ("images/a.png", "images/b.png", "images/c.png")


def test_images_are_in_the_order_of_their_names_with_the_boxes_of_their_rows(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    assert find_splits(root) == {"test": "test_labels.csv", "train": "train_labels.csv"}
    dataset = read_table(root, ["train", "test"])
    assert dataset.class_names == dataset.source_classes == ("cat", "dog")
    assert boxes_of(dataset) == {
        "images/a.png": [("cat", 0, 0, 40, 30)],
        "images/b.png": [("dog", 1, 2, 11.5, 12), ("cat", 5, 5, 6, 7)],
        "images/c.png": [],
    }
    assert [record.image_id for record in dataset.records] == [1, 2, 3]
    ids = np.concatenate([record.annotation_ids for record in dataset.records])
    np.testing.assert_array_equal(ids, [1, 2, 3])
    assert dataset.summary() == "train+test: 3 images, 3 boxes (0 to ignore), 2 classes"


def test_classes_are_chosen_by_name(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    dataset = read_table(root, ["train"], ["emu", "dog"])
    np.testing.assert_array_equal(dataset.records[1].labels, [2])
    assert dataset.other_boxes == 2
    assert dataset.notes == ("no class is named 'emu' (the classes are 'cat', 'dog')",)


@pytest.mark.parametrize(
    ("files", "images", "splits", "box"),
    [
        (  # Roboflow's, for TensorFlow
            {"train/_annotations.csv": HEAD + "a.png,40,30,cat,4,3,12,9\n"},
            "train/a.png valid/a.png",
            {"train": "train/_annotations.csv"},
            ("cat", 4, 3, 12, 9),
        ),
        (  # keras-retinanet
            {"annotations.csv": "img/a.png,4,3,12,9,big dog\nimg/b.png,,,,,\n"},
            "img/a.png img/b.png",
            {"all": "annotations.csv"},
            ("big dog", 4, 3, 12, 9),
        ),
        (  # AutoML
            {"data.csv": "TRAIN,gs://bucket/a.png,cat,0.1,0.1,,,0.3,0.3,,\n"},
            "a.png",
            {"TRAIN": "data.csv"},
            ("cat", 4, 3, 12, 9),
        ),
        (  # OpenImages
            {"train-bbox.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\n0a,/m/01,.1,.3,.1,.3\n"},
            "train/0a.jpg",
            {"train": "train-bbox.csv"},
            ("/m/01", 4, 3, 12, 9),
        ),
        (  # Kaggle's wheat
            {"train.csv": 'image_id,width,height,bbox\n0a,40,30,"[4.0, 3.0, 8.0, 6.0]"\n'},
            "train/0a.jpg test/0b.jpg",
            {"train": "train.csv"},
            ("object", 4, 3, 12, 9),
        ),
        (  # Make Sense
            {"labels.csv": "cat,4,3,8,6,a.png,40,30\n"},
            "a.png",
            {"all": "labels.csv"},
            ("cat", 4, 3, 12, 9),
        ),
        (
            {"all.tsv": "split\tpath\tlabel\tx\ty\tw\th\nval\tC:\\x\\a.png\tcat\t4\t3\t8\t6\n"},
            "deep/er/a.png",
            {"val": "all.tsv"},
            ("cat", 4, 3, 12, 9),
        ),
    ],
)
def test_layouts_of_tools(tmp_path, files, images, splits, box):
    root = write(tmp_path, files, images.split())
    assert find_splits(root) == splits
    boxes = [each for each in boxes_of(read_table(root, list(splits))).values() if each]
    assert [name for ((name, *_),) in boxes] == [box[0]]
    np.testing.assert_allclose([corners for ((_, *corners),) in boxes], [box[1:]], rtol=1e-6)


def test_parquet_is_read_as_text_is(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    root = write(tmp_path, {}, IMAGES)
    columns = {"image": ["b.png", "a.png"], "label": ["dog", None], "xmin": [1, None]}
    columns |= {"ymin": [2.0, None], "xmax": [3.5, None], "ymax": [4.0, None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "train.parquet")
    assert find_splits(root) == {"train": "train.parquet"}
    dataset = read_table(root, ["train"])
    assert boxes_of(dataset) == {"images/a.png": [], "images/b.png": [("dog", 1, 2, 3.5, 4)]}


def test_columns_may_be_given(tmp_path):
    text = "bild;art;a;b;c;d\na.png;katze;4;3;12;9\n"
    root = write(tmp_path, {"boxen.csv": text}, IMAGES)
    columns = ("image=bild", "label=art", "xmin=a", "ymin=b", "xmax=c", "ymax=d")
    assert find_splits(root) == {}
    assert find_splits(root, columns) == {"all": "boxen.csv"}
    dataset = read_table(root, ["all"], columns=columns)
    assert boxes_of(dataset) == {"images/a.png": [("katze", 4, 3, 12, 9)]}
    with pytest.raises(DataError, match="no column is named 'bil'"):
        read_table(root, ["all"], columns=("image=bil", *columns[1:]))


def test_shares_of_the_image_are_noted(tmp_path):
    head = "image,label,xmin,ymin,xmax,ymax\n"
    text = head + "a.png,cat,0.1,0.1,0.3,0.3\nb.png,cat,0,0,1,1\nb.png,cat,0.5,0.5,1.1,1\n"
    root = write(tmp_path, {"train.csv": text}, IMAGES)
    with pytest.raises(DataError, match=r"train\.csv: line 4: 'cat': the box \(20, 15, 44, 30\) e"):
        read_table(root, ["train"])
    dataset = read_table(root, ["train"], on_error="skip")
    np.testing.assert_allclose(dataset.records[0].boxes, [[4, 3, 12, 9]], rtol=1e-6)
    np.testing.assert_allclose(dataset.records[1].boxes, [[0, 0, 40, 30]], rtol=1e-6)
    assert dataset.notes[0] == (
        "train.csv: 2 of 3 boxes are between 0 and 1, so all coordinates are read as "
        "fractions of the width and height of the image"
    )


def test_boxes_in_pixels_may_lie_within_0_and_1(tmp_path):
    head = "image,label,xmin,ymin,xmax,ymax\n"
    text = head + "a.png,cat,0,0,1,1\na.png,cat,0,0,0,0\na.png,cat,0,0,9,9\n"
    root = write(tmp_path, {"train.csv": text}, IMAGES)
    dataset = read_table(root, ["train"])
    np.testing.assert_array_equal(dataset.records[0].boxes, [[0, 0, 1, 1], [0, 0, 9, 9]])
    assert dataset.empty_boxes == 1


def test_a_table_without_classes_has_one(tmp_path):
    root = write(tmp_path, {"train.csv": 'image,bbox\na.png,"[4, 3, 8, 6]"\n'}, IMAGES[:1])
    dataset = read_table(root, ["train"])
    note = "train.csv has no column for classes: every box has the class '{}'"
    assert (dataset.class_names, dataset.notes) == (("object",), (note.format("object"),))
    dataset = read_table(root, ["train"], ["wheat"])
    assert (dataset.class_names, dataset.notes) == (("wheat",), (note.format("wheat"),))


def test_a_table_without_a_header_is_noted(tmp_path):
    root = write(tmp_path, {"a.csv": "images/a.png,4,3,12,9,cat\n"}, IMAGES[:1])
    (note,) = read_table(root, ["all"]).notes
    assert (
        note == "a.csv has no header: its columns are read as image, xmin, ymin, xmax, ymax, label"
    )


def test_splits_in_a_column_may_be_in_letters_of_any_case(tmp_path):
    text = "split,filename,bbox\nTRAIN,a.png,\nVal,b.png,\ntrain,c.png,\n"
    root = write(tmp_path, {"a.csv": text}, IMAGES)
    assert find_splits(root) == {"TRAIN": "a.csv", "Val": "a.csv"}
    assert list(boxes_of(read_table(root, ["train"]))) == ["images/a.png", "images/c.png"]


def test_a_set_is_not_divided_by_a_column_of_something_else(tmp_path):
    text = "set,filename,bbox\n10,a.png,1 2 3 4\n21,a.png,5 6 7 8\n"
    root = write(tmp_path, {"lego.csv": text}, IMAGES[:1])
    (record,) = read_table(root, ["all"]).records
    np.testing.assert_array_equal(record.boxes, [[1, 2, 4, 6], [5, 6, 12, 14]])


def test_images_that_no_row_of_any_table_names_are_counted(tmp_path):
    root = write(tmp_path, FILES, (*IMAGES, "images/d.png", "images/e.jpg", "other/f.png"))
    assert read_table(root, ["train"]).notes == ("2 images not named in any row left out",)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_box_at_fault_costs_that_box(tmp_path, on_error):
    text = HEAD + "a.png,40,30,dog,1,2,x,12\na.png,40,30,cat,9,0,4,30\na.png,40,30,cat,5,5,6,7\n"
    root = write(tmp_path, {"train.csv": text}, IMAGES[:1])
    if on_error == "raise":
        with pytest.raises(DataError, match=r"train\.csv: line 2: xmax is 'x', not a number; corr"):
            read_table(root, ["train"])
        return
    dataset = read_table(root, ["train"], on_error=on_error)
    assert boxes_of(dataset) == {"images/a.png": [("cat", 5, 5, 6, 7)]}
    np.testing.assert_array_equal(dataset.records[0].annotation_ids, [3])
    remedy = "correct it, or leave such records out with data.on_error=skip"
    assert dataset.skipped == (
        f"{tmp_path}/train.csv: line 2: xmax is 'x', not a number; {remedy}",
        f"{tmp_path}/train.csv: line 3: 'cat': the box (9, 0, 4, 30) is inverted; {remedy}",
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("d.png,40,30,cat,1,2,3,4", r"line 2: the image file is missing: d\.png"),
        ("a.png,30,40,cat,1,2,3,4", "line 2: the image is 40x30 pixels .* annotated as 30x40"),
        (
            "a.png,40,30,cat,1,2,3,4\na.png,40,31,cat,1,2,3,4",
            "line 2: the rows of this image give dif",
        ),
        ("t.png,40,30,cat,1,2,3,4", "line 2: .*not an image, or damaged"),
        (
            "a.png,40,30,cat,1,2,3,4\nimages/a.png,,,cat,1,2,3,4",
            "line 3: the image .* is listed twice",
        ),
    ],
)
def test_an_image_at_fault_costs_that_image(tmp_path, line, what):
    text = f"{HEAD}{line}\nb.png,40,30,cat,1,2,3,4\n"
    root = write(tmp_path, {"train.csv": text, "images/t.png": "text"}, IMAGES)
    with pytest.raises(DataError, match=rf"train\.csv: {what}"):
        read_table(root, ["train"])
    dataset = read_table(root, ["train"], on_error="skip")
    assert dataset.records[-1].name == "images/b.png"
    assert len(dataset.skipped) == 1


def test_a_size_may_be_given_in_part(tmp_path):
    text = HEAD + "a.png,40,,cat,1,2,3,4\na.png,,30,cat,1,2,3,4\na.png,0,,,,,,\n"
    root = write(tmp_path, {"train.csv": text}, IMAGES)
    assert len(read_table(root, ["train"]).records[0].boxes) == 2


def test_an_image_annotated_as_it_is_stored_is_read_so(tmp_path):
    root = write(tmp_path, {"train.csv": HEAD + "a.png,40,30,cat,1,2,39,4\n"}, IMAGES)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "images/a.png", exif=exif)
    (record,) = read_table(root, ["train"]).records
    assert (record.height, record.width, record.as_stored) == (30, 40, True)


@pytest.mark.parametrize(
    ("files", "split", "what"),
    [
        (FILES, "val", r"split val: .* has test \(test_labels\.csv\), train \(tra"),
        (
            {"train.csv": TRAIN, "train/a.csv": TRAIN},
            "train",
            "'train.csv', 'train/a.csv' could each be",
        ),
        (
            {"a.csv": TRAIN, "b.csv": TRAIN},
            "all",
            "split all: 'a.csv', 'b.csv' could each be its table",
        ),
        ({}, "train", "no table has columns for boxes; there are 'images'; name them with data"),
        (
            {"x.csv": "a,b\n"},
            "train",
            r"no table has columns for boxes; x\.csv has the columns 'a', 'b'; name them",
        ),
        (
            {"train.csv": HEAD.replace("filename", "bild")},
            "train",
            r"no column was recognised as the names of the im",
        ),
        (
            {"train.csv": HEAD.replace("class", "class,label")},
            "train",
            "'class', 'label' could each be",
        ),
        (
            {"train.csv": TRAIN.encode() + b"\xe9"},
            "train",
            r"train\.csv: the table: it is not UTF-8 text",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, files, split, what):
    root = write(tmp_path, files, IMAGES)
    with pytest.raises(DataError, match=what):
        read_table(root, [split], on_error="skip")


def test_other_folders_have_no_splits(tmp_path):
    assert find_splits(str(tmp_path / "none")) == {}
    root = write(tmp_path, {"metadata.csv": "file_name,objects\n", "data.yaml": ""}, IMAGES)
    assert find_splits(root) == {}

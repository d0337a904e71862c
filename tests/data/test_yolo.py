import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.yolo import find_splits, read_yolo
from tests.data.folders import boxes_of, write

YAML = "train: images/train\nval: images/val\nnames: {0: cat, 2: big dog}\n"
FILES = {
    "data.yaml": YAML,
    "labels/train/a.txt": "2 0.5 0.5 0.5 0.2\n0 0.25 0.5 0.5 1\n",
    "labels/train/b.txt": "",
    "labels/val/d.txt": "0 0.1 0.1 0.1 0.1",
}
IMAGES = ("images/train/c.png", "images/train/b.png", "images/train/a.png", "images/val/d.png")


def test_boxes_are_in_pixels_and_images_in_the_order_of_their_paths(tmp_path):
    root = write(tmp_path, FILES, IMAGES)  # of 40x30 pixels
    assert find_splits(root) == {"train": "data.yaml", "val": "data.yaml"}
    dataset = read_yolo(root, ["train", "val"])
    assert dataset.class_names == dataset.source_classes == ("cat", "big dog")
    assert dataset.category_ids == (1, 2)
    assert [record.image_id for record in dataset.records] == [1, 2, 3, 4]
    assert boxes_of(dataset) == {
        "images/train/a.png": [("big dog", 10, 12, 30, 18), ("cat", 0, 0, 20, 30)],
        "images/train/b.png": [],  # an empty label file
        "images/train/c.png": [],  # none
        "images/val/d.png": [("cat", 2, 1.5, 6, 4.5)],
    }
    first = dataset.records[0]
    assert first.file == str(tmp_path / "images/train/a.png")
    np.testing.assert_array_equal(first.area, [120, 600])
    ids = np.concatenate([record.annotation_ids for record in dataset.records])
    np.testing.assert_array_equal(ids, [1, 2, 3])
    assert dataset.summary() == "train+val: 4 images, 3 boxes (0 to ignore), 2 classes"


def test_classes_are_chosen_by_name(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    dataset = read_yolo(root, ["train"], ["emu", "big dog"])
    assert dataset.class_names == ("emu", "big dog")
    np.testing.assert_array_equal(dataset.records[0].labels, [2])
    assert dataset.other_boxes == 1
    assert dataset.notes == ("no class is named 'emu' (the classes are 'cat', 'big dog')",)


@pytest.mark.parametrize(
    ("files", "images", "splits"),
    [
        (  # Ultralytics, with its folder of all data sets
            {"data.yaml": "path: pets\ntrain: images/train\nnames:\n  0: cat\n"},
            "images/train/a.png labels/train/a.txt",
            {"train": "data.yaml"},
        ),
        (  # Roboflow
            {"data.yaml": "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n"},
            "train/images/a.png train/labels/a.txt valid/images/b.png",
            {"train": "data.yaml", "val": "data.yaml"},
        ),
        (  # CVAT's Ultralytics
            {
                "data.yaml": "path: .\nnames:\n  0: cat\ntrain: train.txt\n",
                "train.txt": "data/images/train/a.png\n",
            },
            "images/train/a.png labels/train/a.txt",
            {"train": "data.yaml"},
        ),
        (  # CVAT's YOLO 1.1
            {
                "obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n",
                "obj.names": "cat\n",
                "train.txt": "data/obj_train_data/a.png\n",
            },
            "obj_train_data/a.png obj_train_data/a.txt",
            {"train": "obj.data"},
        ),
        (  # Label Studio
            {"classes.txt": "cat\n", "notes.json": "{}"},
            "images/a.png labels/a.txt",
            {"all": "images"},
        ),
        (  # LabelImg
            {"classes.txt": "cat\n"},
            "a.png a.txt",
            {"all": "*.txt"},
        ),
        (  # Roboflow's darknet
            {"train/_darknet.labels": "cat\n"},
            "train/a.png train/a.txt",
            {"train": "train"},
        ),
        (
            {"classes.txt": "cat\n", "train.txt": "images/a.png\n"},
            "images/a.png labels/a.txt",
            {"train": "train.txt"},
        ),
    ],
)
def test_layouts_of_tools(tmp_path, files, images, splits):
    names = images.split()
    labels = {name: "0 .5 .5 .5 .5\n" for name in names if name.endswith(".txt")}
    root = write(tmp_path, {**files, **labels}, [name for name in names if name.endswith(".png")])
    assert find_splits(root) == splits
    dataset = read_yolo(root, [next(iter(splits))])
    assert list(boxes_of(dataset).values()) == [[("cat", 10, 7.5, 30, 22.5)]]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_box_at_fault_costs_that_box(tmp_path, on_error):
    label = "0 .5 .5 .5 .5\n7 .5 .5 .5 .5\n0 .5 .5 1.5 .5\n0 .5 .5 0 .5\n2 .5 .5 .1 .1\n"
    root = write(tmp_path, {**FILES, "labels/train/a.txt": label}, IMAGES)
    file = tmp_path / "labels/train/a.txt"
    if on_error == "raise":
        with pytest.raises(
            DataError, match=r"labels/train/a\.txt: line 2: the class is 7, but the cl"
        ):
            read_yolo(root, ["train"])
        return
    dataset = read_yolo(root, ["train"], on_error=on_error)
    assert boxes_of(dataset)["images/train/a.png"] == [
        ("cat", 10, 7.5, 30, 22.5),
        ("big dog", 18, 13.5, 22, 16.5),
    ]
    np.testing.assert_array_equal(dataset.records[0].annotation_ids, [1, 5])
    assert dataset.empty_boxes == 1
    remedy = "correct it, or leave such records out with data.on_error=skip"
    assert dataset.skipped == (
        f"{file}: line 2: the class is 7, but the classes are 2 of 0 to 2; {remedy}",
        f"{file}: line 3: 'cat': the box (-10, 7.5, 50, 22.5) extends beyond the image of 40x30 "
        f"pixels; {remedy}",
    )


def test_a_box_may_reach_out_by_a_pixel(tmp_path):
    label = "0 0.02 0.5 0.06 0.5"  # from -0.4
    root = write(tmp_path, {**FILES, "labels/train/a.txt": label}, IMAGES)
    dataset = read_yolo(root, ["train"])
    np.testing.assert_allclose(dataset.records[0].boxes, [[0, 7.5, 2, 22.5]], atol=1e-5)
    assert dataset.clipped == 1


FAULTY_IMAGES = {
    "no image": (
        "images/train/b.png",
        b"text",
        r"images/train: image images/train/b\.png: .*not an image, or",
    ),
    "not UTF-8": (
        "labels/train/b.txt",
        b"0 \xe9",
        r"image images/train/b\.png: its label file .*b\.txt: it is not UTF-8 text \(byte 2\)",
    ),
}


@pytest.mark.parametrize(("file", "content", "what"), FAULTY_IMAGES.values(), ids=FAULTY_IMAGES)
def test_an_image_at_fault_costs_that_image(tmp_path, file, content, what):
    root = write(tmp_path, FILES, IMAGES)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=what):
        read_yolo(root, ["train"])
    dataset = read_yolo(root, ["train"], on_error="skip")
    assert [record.image_id for record in dataset.records] == [1, 3]
    assert len(dataset.skipped) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"data.yaml": YAML.replace("val: images/val", "val: images")},
        {
            "data.yaml": YAML.replace("train: images/train", "train: l.txt"),
            "l.txt": "images/val/d.png",
        },
        {
            "data.yaml": YAML.replace("images/val", "v.txt"),
            "v.txt": "images/val/d.png\nimages/val/d.png",
        },
    ],
)
def test_an_image_that_is_named_twice_is_a_fault(tmp_path, files):
    root = write(tmp_path, {**FILES, **files}, IMAGES)
    with pytest.raises(DataError, match=r"the image .* is listed twice, first in "):
        read_yolo(root, ["train", "val"])
    dataset = read_yolo(root, ["train", "val"], on_error="skip")
    names = [record.name for record in dataset.records]
    assert len(set(names)) == len(names)


FOUR = "0 .1 .1 .2 .1 .2 .2 .1 .2\n"


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_oriented_boxes_are_refused_by_name(tmp_path, on_error):
    root = write(tmp_path, {"data.yaml": YAML, "labels/train/a.txt": FOUR + FOUR}, IMAGES)
    with pytest.raises(DataError, match="every label has four corners: these are oriented boxes"):
        read_yolo(root, ["train"], on_error=on_error)
    write(tmp_path, {"labels/train/b.txt": "0 .5 .5 .1 .1"})
    np.testing.assert_allclose(
        read_yolo(root, ["train"]).records[0].boxes, [[4, 3, 8, 6]] * 2, rtol=1e-6
    )


def test_without_any_label_file_the_first_is_named(tmp_path):
    root = write(tmp_path, {"data.yaml": YAML}, IMAGES)
    (note,) = read_yolo(root, ["train"]).notes
    first = tmp_path / "labels/train/a.txt"
    assert note == f"no image has a label file (the first image's would be {first})"


def test_label_files_without_an_image_are_counted(tmp_path):
    files = {"labels/train/x.txt": "", "labels/train/y.txt": "", "labels/train/classes.txt": "a"}
    root = write(tmp_path, {**FILES, **files}, IMAGES)
    (note,) = read_yolo(root, ["train"]).notes
    first = tmp_path / "labels/train/x.txt"
    assert note == f"2 label files without an image (the first: {first})"


def test_an_image_turned_by_its_tag_is_read_as_it_is_seen(tmp_path):
    root = write(tmp_path, FILES, IMAGES)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "images/train/a.png", exif=exif)
    record = read_yolo(root, ["train"]).records[0]
    assert (record.height, record.width, record.as_stored) == (40, 30, False)
    np.testing.assert_allclose(record.boxes[0], [7.5, 16, 22.5, 24])


@pytest.mark.parametrize(
    ("files", "split", "what"),
    [
        (
            {"data.yaml": YAML},
            "test",
            r"data\.yaml: split test: .* has train \(images/train\), val \(images/val\)",
        ),
        ({"data.yaml": YAML, "b.yaml": YAML}, "train", "'data.yaml', 'b.yaml' all describe"),
        (
            {"data.yaml": YAML, "dataset.yml": YAML},
            "train",
            "'data.yaml', 'dataset.yml' all describe",
        ),
        ({"data.yaml": "names: ["}, "train", r"data\.yaml: the data set: it is not YAML"),
        (
            {"x.txt": ""},
            "train",
            r"no data\.yaml, obj\.data, or images/ with labels/; there are 'im",
        ),
        ({"labels/train/a.txt": FOUR}, "train", "there are no class names"),
    ],
)
def test_what_is_wrong_with_the_set_is_named(tmp_path, files, split, what):
    root = write(tmp_path, files, IMAGES)
    with pytest.raises(DataError, match=what):
        read_yolo(root, [split], on_error="skip")


def test_other_folders_have_no_splits(tmp_path):
    assert find_splits(str(tmp_path / "none")) == {}
    root = write(tmp_path, {"a.yaml": "b: c", "annotations/instances_train.json": "{}"}, IMAGES)
    assert find_splits(root) == {}


def test_a_broken_description_still_has_a_split(tmp_path):
    assert find_splits(write(tmp_path, {"data.yaml": "names: ["}, IMAGES)) == {"train": "data.yaml"}


def test_splits_that_data_yaml_names_without_images_are_left_out(tmp_path):
    # Roboflow names all three, also where everything was exported as training images
    yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [cat]\n"
    files = {"data.yaml": yaml, "train/labels/a.txt": "0 .5 .5 .5 .5", "test/images/x.txt": ""}
    root = write(tmp_path, files, ["train/images/a.png"])
    assert find_splits(root) == {"train": "data.yaml"}
    assert read_yolo(root, ["train"]).notes[-2:] == (
        "split val is left out: there are no images in '../valid/images'",
        "split test is left out: there are no images in '../test/images'",
    )
    (tmp_path / "train").rename(tmp_path / "elsewhere")  # then no path is right
    assert list(find_splits(root)) == ["train", "val", "test"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_label_files_may_begin_with_a_byte_order_mark(tmp_path, encoding):
    label = "0 0.5 0.5 0.5 0.5\r\n".encode(encoding)
    root = write(tmp_path, {"classes.txt": "cat", "labels/a.txt": label}, ["images/a.png"])
    assert find_splits(root) == {"all": "images"}
    assert boxes_of(read_yolo(root, ["all"])) == {"images/a.png": [("cat", 10, 7.5, 30, 22.5)]}


@pytest.mark.parametrize("name", ["predefined_classes.txt", "labels.txt", "names.txt"])
def test_other_files_of_names_count_where_there_is_no_classes_txt(tmp_path, name):
    files = {name: "cat\ndog\n", "a.txt": "1 .5 .5 .5 .5"}
    root = write(tmp_path, files, ["a.png"])
    dataset = read_yolo(root, ["all"])
    assert (dataset.class_names, dataset.notes) == (("cat", "dog"), ())
    write(tmp_path, {"classes.txt": "cow\nhen\n"})
    assert read_yolo(root, ["all"]).class_names == ("cow", "hen")


def test_folders_may_be_links(tmp_path):
    write(tmp_path / "store", {"labels/a.txt": "0 .5 .5 .5 .5"}, ["images/a.png"])
    root = write(tmp_path / "set", {"classes.txt": "cat"})
    for name in ("images", "labels"):
        (tmp_path / "set" / name).mkdir()
        (tmp_path / "set" / name / "train").symlink_to(tmp_path / "store" / name)
    assert find_splits(root) == {"train": "images/train"}
    store = str(tmp_path / "store")
    assert len(read_yolo(root, ["train"], image_roots=[store]).records[0].boxes) == 1


def test_a_data_yaml_with_names_alone_leaves_the_splits_to_the_folders(tmp_path):
    files = {"data.yaml": "nc: 1\nnames: [cat]\n", "labels/train/a.txt": "0 .5 .5 .5 .5"}
    root = write(tmp_path, files, ["images/train/a.png"])
    assert find_splits(root) == {"train": "images/train"}
    assert boxes_of(read_yolo(root, ["train"])) == {
        "images/train/a.png": [("cat", 10, 7.5, 30, 22.5)]
    }


def test_folders_may_be_in_capital_letters(tmp_path):
    files = {"classes.txt": "cat", "Labels/a.txt": "0 .5 .5 .5 .5"}
    root = write(tmp_path, files, ["Images/a.png"])
    assert boxes_of(read_yolo(root, ["all"])) == {"Images/a.png": [("cat", 10, 7.5, 30, 22.5)]}

"""Inputs that people brought to other detectors: what is expected of each, and what is found.

``pytest -n0 -s tests/data/test_cases.py`` prints both. The same kinds, as small files of their own,
are in the tests of the modules that read them.
"""

import pathlib

import pytest

from jaxrcnn.data import DataError, read_coco, read_voc
from jaxrcnn.data.images import read_image

SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "cases" / "data"

TWO = "[15 15 31 29] [33 17 47 33]"  # the boxes of the first image in most cases
ALL = "4 images, 8 boxes (0 to ignore), 2 classes"


def say(dataset):
    """The summary of a data set, and its first image's boxes; "-" before those to ignore."""
    if not len(dataset):
        return dataset.summary()
    record = dataset.records[0]
    boxes = " ".join(
        f"{'-' * int(ignore)}[{' '.join(f'{x:g}' for x in box)}]"
        for box, ignore in zip(record.boxes, record.ignore, strict=True)
    )
    return f"{dataset.summary()} | {record.image_id} {record.name} {boxes}"


def coco(folder, *splits, classes=(), on_error="raise"):
    return say(read_coco(str(folder), splits or ("train",), classes, on_error))


def coco_skip(folder):
    return coco(folder, on_error="skip")


def voc(folder, *classes, **options):
    return say(read_voc(str(folder), ("train",), classes or ("cat", "dog"), **options))


def without_empty(folder):
    return say(read_coco(str(folder), ("train",)).without_empty())


def colours(folder):
    """The colour where the annotated box is, in training and evaluation, and in predict."""
    dataset = read_coco(str(folder), ("train",))
    images = dataset.read_image(0), read_image(dataset.records[0].file)
    means = [image[6:18, 8:24].mean((0, 1)) for image in images]
    return " and ".join("red" if red > 200 and green < 50 else "grey" for red, green, _ in means)


CASES = [
    (
        "all_crowd",
        without_empty,
        "train: 0 images, 0 boxes (0 to ignore), 2 classes; 4 images without objects left out; "
        "all 8 boxes are crowds (iscrowd), and so none is trained on",
    ),
    (
        "backslash_file_name",
        coco,
        f"train: {ALL}; 4 images found by file name alone, in another folder | 1 sub\\p0.png {TWO}",
    ),
    (
        "bbox_zero_height",
        coco,
        "train: 4 images, 7 boxes (0 to ignore), 2 classes; 1 box without width or height left "
        "out | 1 p0.png [33 17 47 33]",
    ),
    ("exif_3_64x48", colours, "red and red"),
    (
        "huge_ann_id",
        coco,
        "DIR/annotations/instances_train.json: annotation 1180591620717411303424: its id is "
        "1180591620717411303424 (int), beyond 64 bits; correct it, or leave such records out with "
        "data.on_error=skip",
    ),
    (
        "huge_ann_id",
        coco_skip,
        "train: 4 images, 7 boxes (0 to ignore), 2 classes; 1 faulty record left out (the first: "
        "DIR/annotations/instances_train.json: annotation 1180591620717411303424: its id is "
        "1180591620717411303424 (int), beyond 64 bits) | 1 p0.png [33 17 47 33]",
    ),
    (
        "ignore_flag",
        coco,
        "train: 4 images, 8 boxes (1 to ignore), 2 classes | 1 p0.png -[15 15 31 29] [33 17 47 33]",
    ),
    ("iscrowd_string", coco, f"train: {ALL} | 1 p0.png {TWO}"),
    ("json_bom", coco, f"train: {ALL} | 1 p0.png {TWO}"),
    ("labelstudio_images_prefix", coco, f"train: {ALL} | 1 images/p0.png {TWO}"),
    (
        "na_name",
        coco,
        f"train: 4 images, 5 boxes (0 to ignore), 2 classes | 1 p0.png {TWO}",
    ),
    ("no_image_size", coco, f"train: {ALL} | 1 p0.png {TWO}"),
    (
        "normalised",
        coco,
        f"train: {ALL}; all boxes are between 0 and 1, but boxes are in pixels: multiply x and "
        "width by the width of the image, y and height by its height "
        "| 1 p0.png [0.234375 0.3125 0.484375 0.604167] [0.515625 0.354167 0.734375 0.6875]",
    ),
    (
        "roboflow_root_category",
        coco,
        f"train: {ALL}; category 'pets', the parent of all others, has no boxes: left out "
        f"| 1 p0.png {TWO}",
    ),
    (
        "string_image_ids",
        coco,
        f"train: {ALL}; image ids are strings: images are numbered from 1 in their order "
        f"| 1 p0.png {TWO}",
    ),
    (
        "string_image_size",
        coco,
        "DIR/annotations/instances_train.json: image 1 (p0.png): height is '48' (str), not a whole "
        "number; correct it, or leave such records out with data.on_error=skip",
    ),
    (
        "two_exports_same_ids",
        lambda folder: coco(folder, "a", "b"),
        "a+b: 8 images, 16 boxes (0 to ignore), 2 classes; the splits share image ids: images are "
        f"numbered from 1 in their order | 1 p0.png {TWO}",
    ),
    (
        "val_lacks_class",
        lambda folder: coco(folder, "val", classes=("cat", "dog")),
        "val: 4 images, 4 boxes (0 to ignore), 2 classes; no category is named 'dog': classes "
        "without objects | 1 p0.png [15 15 31 29]",
    ),
    ("voc_bmp", voc, f"train: {ALL} | 1 p0 {TWO}"),
    (
        "voc_cvat_float",
        lambda folder: voc(folder, one_based=False),
        f"train: {ALL} | 1 p0 [0 0 64 48] [34 18 47 33]",
    ),
    (
        "voc_cvat_float",
        voc,
        f"train: {ALL}; 1 box clipped at the border; 1 box with coordinates that are fractional or "
        "below 1 (if they count from 0, set data.voc_one_based=False) "
        "| 1 p0 [0 0 64 48] [33 17 47 33]",
    ),
    (
        "voc_spaces_silent",
        voc,
        "train: 1 image, 2 boxes (0 to ignore), 2 classes "
        "| 1 street (5) [7 12 23 26] [43 25 57 41]",
    ),
    (
        "voc_subset",
        lambda folder: voc(folder, "cat"),
        "train: 4 images, 4 boxes (0 to ignore), 1 class; 4 boxes of other classes left out "
        "| 1 p0 [15 15 31 29]",
    ),
]


@pytest.mark.parametrize(("name", "read", "expected"), CASES)
def test_a_case_gives_what_is_expected(name, read, expected):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no case {name} beside us")
    try:
        found = read(folder)
    except DataError as error:
        found = str(error)
    found = found.replace(str(folder), "DIR")
    print(f"\n{name}\n  expected  {expected}\n  found     {found}")
    assert found == expected

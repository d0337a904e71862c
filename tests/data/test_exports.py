import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.table import read_table
from jaxrcnn.data.yolo import read_yolo
from tests.data.exports import write_csv, write_cvat, write_labelimg, write_roboflow_yolo


def image(seed, height=30, width=40):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


SETS = {
    "train": [
        ("a.png", image(0), [("dog", 1, 2, 11, 22.5), ("big cat", 0, 0, 40, 30)]),
        ("b.png", image(1, 33, 17), []),
    ],
    "val": [("c.png", image(2), [("dog", 3, 4, 5, 6)])],
}


@pytest.mark.parametrize("split", SETS)
def test_the_same_images_and_boxes_are_read_from_each_layout(tmp_path, split):
    for write in (write_cvat, write_roboflow_yolo, write_csv):
        write(tmp_path / write.__name__, SETS)
    names = ["big cat", "dog"]
    datasets = [
        read_coco(str(tmp_path / "write_cvat"), [split], names),
        read_yolo(str(tmp_path / "write_roboflow_yolo"), [split], names),
        read_table(str(tmp_path / "write_csv"), [split], names),
    ]
    for dataset in datasets:
        assert len(dataset) == len(SETS[split])
        for index, (name, pixels, boxes) in enumerate(SETS[split]):
            record = dataset.records[index]
            assert record.name.endswith(name)
            np.testing.assert_array_equal(dataset.read_image(index), pixels)
            expected = np.array([corners for _, *corners in boxes]).reshape(-1, 4)
            rounding = 1e-6 * 40 if dataset is datasets[1] else 0  # of YOLO's six decimals
            np.testing.assert_allclose(record.boxes, expected, rtol=0, atol=rounding)
            assert [names[label - 1] for label in record.labels] == [box[0] for box in boxes]


def test_labelimg_counts_pixels_from_1(tmp_path):
    write_labelimg(tmp_path, {"all": SETS["train"]})
    page = ElementTree.parse(tmp_path / "a.xml")
    keys = ("xmin", "ymin", "xmax", "ymax")
    corners = [[item.findtext(f"bndbox/{key}") for key in keys] for item in page.iter("object")]
    assert corners == [["2", "3", "11", "22.5"], ["1", "1", "40", "30"]]
    assert [item.findtext("name") for item in page.iter("object")] == ["dog", "big cat"]
    write_labelimg(tmp_path / "two", SETS)
    assert (tmp_path / "two/train/b.xml").exists()
    assert (tmp_path / "two/val/c.png").exists()

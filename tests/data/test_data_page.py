"""The examples of docs/data.md do what it says."""

import pathlib
import re

import numpy as np

from jaxrcnn.data.image_folder import read_image_folder
from jaxrcnn.data.table import read_table
from jaxrcnn.data.yolo import read_yolo
from tests.data.folders import boxes_of, write

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text()
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


def test_the_example_prints_what_it_says(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    names = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/data.md", "exec"), names)
    assert capsys.readouterr().out.strip() == EXAMPLE.strip().rpartition("  # ")[2]
    batch = names["batch"]
    # 0.8 of 60x80 is 48x64, which is kept at a long side of 64; every crop holds pixels of the box.
    np.testing.assert_array_equal(batch.image_sizes, [[48, 64]] * 2)
    for image, (x0, y0, x1, y1) in enumerate(batch.boxes[:, 0].astype(int)):
        mask = batch.extra["mask"][image]
        assert (mask[y0:y1, x0:x1] == 1).all()
        assert mask.sum() == (y1 - y0) * (x1 - x0) > 0


def block(beginning):
    """The block of the page that begins so."""
    (found,) = re.findall(rf"^```\n({re.escape(beginning)}.*?)^```", PAGE, re.M | re.S)
    return found


def test_the_table_is_read_as_the_page_says(tmp_path):
    images = ("images/001.jpg", "images/002.jpg")
    write(tmp_path, {"train_labels.csv": block("filename,")}, images, size=(640, 480))
    assert boxes_of(read_table(str(tmp_path), ["train"])) == {
        "images/001.jpg": [("cat", 10, 20, 110.5, 220), ("big dog", 300, 40, 420, 300)],
        "images/002.jpg": [],
    }


def test_the_line_of_metadata_is_read_as_the_page_says(tmp_path):
    files = {"train/metadata.jsonl": block('{"file_name"')}
    write(tmp_path, files, ("train/001.jpg",), size=(640, 480))
    dataset = read_image_folder(str(tmp_path), ["train"])
    assert boxes_of(dataset) == {"train/001.jpg": [("cat", 10, 20, 110.5, 220)]}


def test_the_label_is_in_the_middle_of_the_image(tmp_path):
    (line,) = re.findall(r"`(0 [0-9. ]+)` is class 0, in the middle of the image", PAGE)
    files = {"classes.txt": "cat\n", "labels/001.txt": line}
    write(tmp_path, files, ("images/001.jpg",), size=(640, 480))
    dataset = read_yolo(str(tmp_path), ["all"])
    assert boxes_of(dataset) == {"images/001.jpg": [("cat", 240, 216, 400, 264)]}

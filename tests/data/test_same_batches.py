"""The same images and boxes give the same batches, whichever tool exported them."""

import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import Config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.loader import eval_batches, train_batches
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.data.synthetic import shapes_dataset
from tests.data.exports import write_csv, write_cvat, write_labelimg, write_roboflow_yolo

BCCD = pathlib.Path(__file__).parents[3] / "shared" / "data" / "bccd"
WRITERS = {
    "coco": write_cvat,
    "yolo": write_roboflow_yolo,
    "voc": write_labelimg,
    "table": write_csv,
}
STEPS = 4
SIX_DECIMALS = 2e-3
"""Pixels of the network's input by which YOLO's six decimals may move a corner: a centre and half
a size, each rounded to 5e-7 of the side, at most 640 pixels here, before the image is resized."""


def drawn_images():
    dataset = shapes_dataset(40, seed=3)
    images = []
    for index, record in enumerate(dataset.records):
        names = [dataset.class_names[label - 1] for label in record.labels]
        boxes = np.round(record.boxes).tolist()
        labelled = [(name, *box) for name, box in zip(names, boxes, strict=True)]
        images.append((f"{index:03}.png", dataset.read_image(index), labelled))
    return images


def blood_cells():
    """40 images of BCCD, from its XML: whole numbers that count from 1."""
    images = []
    for path in sorted((BCCD / "Annotations").glob("*.xml"))[:40]:
        page, boxes = ElementTree.parse(path).getroot(), []
        for item in page.iter("object"):
            corners = [float(item.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin")]
            ends = [float(item.findtext(f"bndbox/{key}", "")) for key in ("xmax", "ymax")]
            x0, y0 = (corner - 1 for corner in corners)
            boxes.append((item.findtext("name", ""), x0, y0, *ends))
        image = np.array(Image.open(BCCD / "JPEGImages" / f"{path.stem}.jpg").convert("RGB"))
        images.append((f"{path.stem}.png", image, boxes))
    return images


@pytest.fixture(scope="module", params=["drawn", "bccd"])
def sets(request):
    if request.param == "bccd" and not BCCD.is_dir():
        pytest.skip("the blood cells are not here")
    images = drawn_images() if request.param == "drawn" else blood_cells()
    return {"train": images[:30], "val": images[30:]}


def batches_of(root):
    """What a run on the folder is fed, with nothing said but where it is."""
    fields = {
        **{"data.format": "auto", "data.train_splits": (), "data.eval_split": ""},
        **{"data.root": str(root), "data.short_side": 96, "data.long_side": 128},
        **{"train.steps": STEPS, "train.batch_size": 3, "eval.batch_size": 4},
    }
    config, _ = resolve_data(replace_fields(Config(), fields))
    train, evaluation = open_datasets(config, any_classes=True)
    trained, evaluated = list(train_batches(train, config)), list(eval_batches(evaluation, config))
    return config.data.format, train.class_names, [*trained, *(x.batch for x in evaluated)]


def leaves_of(batch):
    return {field: x for field, x in batch._asdict().items() if isinstance(x, np.ndarray)}


@pytest.fixture(scope="module")
def from_coco(sets, tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    write_cvat(root, sets)
    return batches_of(root)


@pytest.mark.parametrize("name", ["yolo", "voc", "table"])
def test_every_export_gives_the_batches_of_the_first(name, sets, from_coco, tmp_path):
    WRITERS[name](tmp_path, sets)
    found, classes, batches = batches_of(tmp_path)
    assert found == name
    assert classes == from_coco[1]
    for ours, theirs in zip(batches, from_coco[2], strict=True):
        one, other = leaves_of(ours), leaves_of(theirs)
        assert one.keys() == other.keys()
        for field in one:
            if name == "yolo" and field == "boxes":
                np.testing.assert_allclose(one[field], other[field], rtol=0, atol=SIX_DECIMALS)
            else:
                np.testing.assert_array_equal(one[field], other[field], err_msg=field)


def test_the_batches_hold_images_and_boxes(sets, from_coco):
    name, classes, batches = from_coco
    labels = {label for images in sets.values() for *_, boxes in images for label, *_ in boxes}
    assert (name, classes) == ("coco", tuple(sorted(labels)))
    real = [batch.image_weights > 0 for batch in batches]
    assert sum(x.sum() for x in real) == STEPS * 3 + len(sets["val"])
    for batch, rows in zip(batches, real, strict=True):
        assert batch.images[rows].any(axis=(1, 2, 3)).all()
        assert batch.box_valid[rows].any(axis=1).all()

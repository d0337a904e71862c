"""A small split in COCO's format, to be written with one thing changed."""

import copy
import json
import os

import numpy as np
from PIL import Image

TABLES = {
    "images": [
        {"id": 40, "file_name": "a.png", "height": 30, "width": 40},
        {"id": 7, "file_name": "b.png", "height": 30, "width": 40},
        {"id": 9, "file_name": "c.png", "height": 50, "width": 20},
    ],
    "annotations": [
        {"id": 3, "image_id": 7, "category_id": 90, "bbox": [1.5, 2, 10, 20], "area": 123.5},
        {"id": 1, "image_id": 40, "category_id": 4, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        {"id": 2, "image_id": 7, "category_id": 4, "bbox": [39, 29, 1, 1], "iscrowd": 0},
        {"id": 8, "image_id": 7, "category_id": 17, "bbox": [5, 5, 1, 1]},
    ],
    "categories": [
        {"id": 90, "name": "dog"},
        {"id": 4, "name": "cat"},
        {"id": 17, "name": "owl"},
    ],
}
"""Three images; the second has three boxes, the first a crowd, the third nothing."""


def changed(table, place, **fields):
    """The tables with some fields of an entry changed."""
    tables = copy.deepcopy(TABLES)
    tables[table][place].update(fields)
    return tables


def changed_all(table, change):
    """The tables with every entry of a table changed."""
    tables = copy.deepcopy(TABLES)
    tables[table] = [{**entry, **change(entry)} for entry in tables[table]]
    return tables


def write(root, tables, split="train", folder="train"):
    """Write the json file of a split, from tables, text or bytes, and its images."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    content = tables if isinstance(tables, str | bytes) else json.dumps(tables)
    content = content if isinstance(content, bytes) else content.encode()
    (root / "annotations" / f"instances_{split}.json").write_bytes(content)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, size in (("a", (40, 30)), ("b", (40, 30)), ("c", (20, 50))):
        Image.new("RGB", size).save(root / folder / f"{name}.png")


SIZES = ((480, 640), (640, 480), (427, 640), (640, 427))
"""Heights and widths of the images of `write_large`."""


def write_large(root, images, boxes, seed=0):
    """Write a split as COCO's train2017 is written, with segmentations that make most of the file.

    Images of one size are links to few files. Returns what was drawn: (images,) ids, (images, 2)
    sizes, and of the boxes, by the order of the table, (boxes,) places of their images, (boxes, 4)
    x, y, width, height, categories 1..80 and whether they are crowds.
    """
    rng = np.random.default_rng(seed)
    ids = rng.permutation(6 * images)[:images] + 1
    sizes = np.array(SIZES)[rng.integers(0, 4, images)]
    owners = rng.integers(0, images, boxes)
    sides = sizes[owners][:, ::-1]
    starts = np.round(rng.random((boxes, 2)) * (sides - 20), 2)
    ends = np.round(starts + 1 + rng.random((boxes, 2)) * (sides - starts - 2), 2)
    rows = np.round(np.concatenate([starts, ends - starts], axis=1), 2)
    categories, crowd = rng.integers(1, 81, boxes), rng.random(boxes) < 0.0116
    corners = np.round(rng.random(1000) * 400, 2).tolist()
    counts = np.minimum(rng.gamma(2, 22, boxes).astype(int) + 6, 900)
    (root / "annotations").mkdir(parents=True)
    (root / "train").mkdir()
    with open(root / "annotations" / "instances_train.json", "w", encoding="utf-8") as stream:
        stream.write('{"info": {"year": 2017}, "licenses": [{"id": 1, "name": "A"}], "images": [')
        for place, (key, (height, width)) in enumerate(
            zip(ids.tolist(), sizes.tolist(), strict=True)
        ):
            image = {"license": 3, "file_name": f"{key:012}.jpg", "height": height, "width": width}
            image |= {"date_captured": "2013-11-14 11:18:45", "id": key}
            image |= {
                f"{x}_url": f"http://images.cocodataset.org/{key:012}.jpg" for x in ("a", "b")
            }
            stream.write(", " * (place > 0) + json.dumps(image))
        stream.write('], "annotations": [')
        columns = (owners, rows, categories, crowd, counts)
        for place, (owner, box, category, is_crowd, count) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            shape = (
                {"counts": list(range(count)), "size": [1, 1]} if is_crowd else [corners[:count]]
            )
            entry = {"segmentation": shape, "area": round(box[2] * box[3] / 2, 4), "bbox": box}
            entry |= {"iscrowd": int(is_crowd), "image_id": int(ids[owner])}
            entry |= {"category_id": category, "id": 1000 + place}
            stream.write(", " * (place > 0) + json.dumps(entry))
        names = [{"supercategory": f"s{i % 12}", "id": i, "name": f"c{i}"} for i in range(1, 81)]
        stream.write(f'], "categories": {json.dumps(names)}}}')
    _link_images(root / "train", ids, sizes)
    return ids, sizes, owners, rows, categories, crowd


def _link_images(folder, ids, sizes):
    linked = {}
    for place, (key, size) in enumerate(zip(ids.tolist(), map(tuple, sizes.tolist()), strict=True)):
        kind = (size, place // 20_000)  # a file system bounds the links to a file
        path = folder / f"{key:012}.jpg"
        if kind in linked:
            os.link(linked[kind], path)
        else:
            Image.new("RGB", size[::-1]).save(path)
            linked[kind] = path

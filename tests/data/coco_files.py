"""A small split in COCO's format, to be written with one thing changed."""

import copy
import json

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

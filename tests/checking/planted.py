"""Faults planted in a data set in COCO's format, each with what a check is to find."""

import copy
import json
import os
import shutil

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")


def write_set(root, images=32, side=(64, 48)):
    """A data set without faults: splits train and val, images with two boxes each."""
    rng = np.random.default_rng(7)
    (root / "annotations").mkdir(parents=True)
    for split, number in (("train", images), ("val", 4)):
        (root / split).mkdir()
        tables = {"images": [], "annotations": [], "categories": []}
        tables["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        for place in range(1, number + 1):
            name = f"{split}{place:02}.jpg"
            pixels = rng.integers(0, 256, (side[1], side[0], 3), np.uint8)
            Image.fromarray(pixels).save(root / split / name, quality=90)
            entry = {"id": place, "file_name": name, "width": side[0], "height": side[1]}
            tables["images"].append(entry)
            for box, category in (([5 + place % 7, 4, 20, 25], 1), ([30, 10, 12, 30], 2)):
                key = len(tables["annotations"]) + 1
                one = {"id": key, "image_id": place, "category_id": category, "bbox": box}
                tables["annotations"].append({**one, "area": box[2] * box[3], "iscrowd": 0})
        write_tables(root, split, tables)


def table_file(root, split):
    return root / "annotations" / f"instances_{split}.json"


def read_tables(root, split):
    return json.loads(table_file(root, split).read_text())


def write_tables(root, split, tables):
    table_file(root, split).write_text(json.dumps(tables))


class Planter:
    """Plants faults in a folder, and collects what is to be found: (split, kind, record)."""

    def __init__(self, root, train="train", val="val", train_folder="train", val_folder="val"):
        self.root, self.names = root, (train, val)
        self.folders = root / train_folder, root / val_folder
        self.train, self.val = (read_tables(root, split) for split in self.names)
        self.expected = []
        boxed = {one["image_id"] for one in self.train["annotations"]}
        self._free = [
            each
            for each in self.train["images"]
            if each["id"] in boxed and each["width"] > 1.2 * each["height"]
        ]

    def image(self):
        """A landscape image with boxes, which no other fault has."""
        return self._free.pop(0)

    def boxes(self, image):
        return [one for one in self.train["annotations"] if one["image_id"] == image["id"]]

    def file(self, image):
        return self.folders[0] / image["file_name"]

    def expect(self, kind, record, split=0):
        self.expected.append((self.names[split] if split is not None else "", kind, record))

    def expect_image(self, kind, image):
        self.expect(kind, f"image {image['id']} ({image['file_name']})")

    def box(self, kind, bbox):
        """A faulty box beside the others of an image."""
        image = self.image()
        self.add(image, bbox)
        self.expect_image(kind, image)

    def add(self, image, bbox, category=None, table=None):
        table = self.train if table is None else table
        key = max(one["id"] for one in table["annotations"]) + 1
        category = category or table["annotations"][0]["category_id"]
        new = {"id": key, "image_id": image["id"], "category_id": category, "bbox": bbox}
        table["annotations"].append({**new, "area": 1, "iscrowd": 0})
        return key

    def write(self):
        for split, tables in zip(self.names, (self.train, self.val), strict=True):
            write_tables(self.root, split, tables)


def plant_files(p):
    image = p.image()
    p.file(image).unlink()
    p.expect_image("image-missing", image)
    image = p.image()
    p.file(image).write_text("not an image")
    p.expect_image("image-unreadable", image)
    image = p.image()
    content = p.file(image).read_bytes()
    p.file(image).write_bytes(content[: len(content) // 2])
    p.expect_image("image-damaged", image)
    image = p.image()
    image["width"] += 8
    p.expect_image("image-size", image)


def plant_outside(p, folder):
    folder.mkdir()
    for kind in ("absolute", "upwards", "link"):
        image = p.image()
        path = p.file(image)
        target = folder / path.name
        os.rename(path, target)
        if kind == "absolute":
            image["file_name"] = str(target)
        elif kind == "upwards":
            image["file_name"] = os.path.relpath(target, path.parent)
        else:
            path.symlink_to(target)
        p.expect_image("image-outside", image)


def plant_rotated(p):
    """EXIF tags that rotate images whose boxes were drawn before: with and without a size."""
    for has_size in (True, False):
        image = p.image()
        with Image.open(p.file(image)) as opened:
            exif = opened.getexif()
            exif[0x0112] = 6
            opened.load()
            opened.save(p.file(image), exif=exif)
        if not has_size:
            width = image.pop("width")
            p.add(image, [width - 12, 4, 10, 10])
            del image["height"]
        p.expect_image("image-exif", image)


def plant_repeated(p):
    first, again = p.image(), p.image()
    shutil.copy(p.file(first), p.file(again))
    again["width"], again["height"] = first["width"], first["height"]
    p.train["annotations"] = [x for x in p.train["annotations"] if x["image_id"] != again["id"]]
    later = max(first, again, key=p.train["images"].index)
    p.expect_image("image-twice", later)
    image = p.image()
    shutil.copy(p.file(image), p.folders[1] / "copy.jpg")
    new = {**image, "id": 10**6, "file_name": "copy.jpg"}
    p.val["images"].append(new)
    p.expect("image-in-two-splits", f"image {10**6} (copy.jpg)", split=1)


def plant_boxes(p):
    p.box("box-inverted", [20, 20, -8, 10])
    p.box("box-outside", [10**4, 5, 10, 10])
    p.box("box-reaches-out", [5, 5, 10**4, 10])
    p.box("box-empty", [5, 5, 0, 10])
    p.box("record-invalid", [5, 5, "ten", 10])
    p.box("box-not-finite", [5, 5, float("nan"), 10])
    image = p.image()
    for one in p.boxes(image):
        x, y, width, height = one["bbox"]
        across, down = image["width"], image["height"]
        one["bbox"] = [x / across, y / down, width / across, height / down]
    p.expect_image("boxes-normalised", image)
    image = p.image()
    p.add(image, list(p.boxes(image)[0]["bbox"]), p.boxes(image)[0]["category_id"])
    p.expect_image("box-twice", image)


def plant_ids(p):
    image = p.image()
    p.add(image, [5, 5, 10, 10], category=10**6)
    p.expect_image("class-unknown", image)
    key = p.add({"id": 10**7}, [5, 5, 10, 10])
    p.expect("image-unknown", f"annotation {key}")
    image = p.image()
    first = p.boxes(image)[0]
    p.train["annotations"].append(copy.deepcopy(first))
    p.expect("id-twice", f"annotation {first['id']}")
    p.expect("id-twice", f"annotation {first['id']}")


def plant_classes(p):
    name = p.train["categories"][0]["name"]
    other = f" {name.upper()}-"
    key = max(one["id"] for one in p.train["categories"]) + 1
    p.train["categories"].append({"id": key, "name": other})
    p.expect("classes-alike", f"class '{other.strip()}'", split=None)
    p.val["categories"].append({"id": key + 1, "name": "unicorn"})
    p.add(p.val["images"][0], [5, 5, 12, 10], key + 1, p.val)
    p.expect("class-not-in-training", "class 'unicorn'", split=None)


def plant_all(p, folder):
    """Every fault that a data set in COCO's format can have, but for those of a whole split."""
    plant_files(p)
    plant_outside(p, folder)
    plant_rotated(p)
    plant_repeated(p)
    plant_boxes(p)
    plant_ids(p)
    plant_classes(p)
    p.write()

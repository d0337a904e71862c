"""The same images and boxes in the layouts that four tools export.

Each function takes ``{split: [(name, image, [(label, x0, y0, x1, y1), ...]), ...]}``: names as
"a.png", images (H, W, 3) uint8, continuous coordinates in pixels. They are not ours: each writes
the files as the tool does, from its documentation.
"""

import csv
import json
from xml.sax.saxutils import escape

from PIL import Image

ROBOFLOW_FOLDERS = {"val": "valid"}
"""Roboflow calls the folder of the validation split so, and the key in data.yaml val."""


def class_names(sets):
    """The names of all classes, sorted."""
    return sorted({box[0] for images in sets.values() for _, _, boxes in images for box in boxes})


def write_cvat(root, sets):
    """CVAT's COCO 1.0: annotations/instances_SPLIT.json, images in images/SPLIT/.

    A task without subsets is called default.
    """
    names = class_names(sets)
    categories = [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, 1)
    ]
    (root / "annotations").mkdir(parents=True)
    for split, images in sets.items():
        tables = {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": ""}}
        tables |= {"categories": categories, "images": [], "annotations": []}
        for image_id, (name, image, boxes) in enumerate(images, 1):
            _save(root / "images" / split, name, image)
            height, width = image.shape[:2]
            entry = {"id": image_id, "width": width, "height": height, "file_name": name}
            tables["images"].append({**entry, "license": 0, "coco_url": "", "date_captured": 0})
            for label, x0, y0, x1, y1 in boxes:
                tables["annotations"].append(
                    {
                        "id": len(tables["annotations"]) + 1,
                        "image_id": image_id,
                        "category_id": names.index(label) + 1,
                        "segmentation": [],
                        "area": (x1 - x0) * (y1 - y0),
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "iscrowd": 0,
                        "attributes": {"occluded": False},
                    }
                )
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(tables))


def write_roboflow_yolo(root, sets):
    """Roboflow's YOLOv8: data.yaml with ../train/images, and images/ and labels/ in each split."""
    names = class_names(sets)
    lines = []
    for split, images in sets.items():
        folder = ROBOFLOW_FOLDERS.get(split, split)
        lines.append(f"{split}: ../{folder}/images")
        (root / folder / "labels").mkdir(parents=True)
        for name, image, boxes in images:
            _save(root / folder / "images", name, image)
            height, width = image.shape[:2]
            rows = [
                f"{names.index(label)} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
                f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}"
                for label, x0, y0, x1, y1 in boxes
            ]
            stem = name.rpartition(".")[0]
            (root / folder / "labels" / f"{stem}.txt").write_text("\n".join(rows))
    quoted = ", ".join(f"'{name}'" for name in names)
    lines += ["", f"nc: {len(names)}", f"names: [{quoted}]", "", "roboflow:", "  version: 1", ""]
    (root / "data.yaml").write_text("\n".join(lines))


def write_labelimg(root, sets):
    """LabelImg's Pascal VOC: an XML file beside each image, in a folder for each split.

    A single set lies in the root, as LabelImg itself knows no splits. Corners count from 1.
    """
    for split, images in sets.items():
        folder = root / split if len(sets) > 1 else root
        for name, image, boxes in images:
            _save(folder, name, image)
            height, width = image.shape[:2]
            objects = "".join(
                f"\t<object>\n\t\t<name>{escape(label)}</name>\n\t\t<pose>Unspecified</pose>\n"
                "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
                f"\t\t\t<xmin>{_short(x0 + 1)}</xmin>\n\t\t\t<ymin>{_short(y0 + 1)}</ymin>\n"
                f"\t\t\t<xmax>{_short(x1)}</xmax>\n\t\t\t<ymax>{_short(y1)}</ymax>\n"
                "\t\t</bndbox>\n\t</object>\n"
                for label, x0, y0, x1, y1 in boxes
            )
            page = (
                f"<annotation>\n\t<folder>{folder.name}</folder>\n\t<filename>{name}</filename>\n"
                f"\t<path>C:\\Users\\me\\{folder.name}\\{name}</path>\n"
                "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n\t<size>\n"
                f"\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n"
                f"\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
            )
            (folder / name).with_suffix(".xml").write_text(page, encoding="utf-8")


def write_csv(root, sets):
    """A table for each split, as for TensorFlow: train_labels.csv, with images in images/."""
    head = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    for split, images in sets.items():
        rows = []
        for name, image, boxes in images:
            _save(root / "images", name, image)
            size = image.shape[1], image.shape[0]
            rows += [(name, *size, label, *map(_short, corners)) for label, *corners in boxes]
            if not boxes:
                rows.append((name, *size, "", "", "", "", ""))
        with open(root / f"{split}_labels.csv", "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([head, *rows])


def _save(folder, name, image):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / name)


def _short(value):
    """A coordinate as it is, without a fraction where it has none."""
    return int(value) if float(value).is_integer() else float(value)

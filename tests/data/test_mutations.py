"""Damaged files: each reading gives a sane data set, or one line that names the file."""

import json
import os
import signal

import numpy as np
import pytest

from jaxrcnn.data import DataError, coco, image_folder, table, voc, yolo
from tests.data import coco_files, voc_files
from tests.data.folders import write
from tests.data.mutations import mutated, restructured

READINGS = [
    270,
    pytest.param(20_000, marks=pytest.mark.slow),
    pytest.param(100_000, marks=pytest.mark.soak),
]
LONGEST = 20  # seconds of a reading

IMAGES = ("images/p0.png", "images/p1.png", "images/p2.png")
LABELS = "0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.4 0.1 0.4 0.3\n\n1 0.95 0.5 1e-1 .2\n"
YAML = "path: .\ntrain: images\nval: [images]\nnc: 2\nnames:\n  0: cat\n  1: 'd og'\n"
CARD = """---
dataset_info:
  features:
  - name: objects
    sequence:
    - name: categories
      dtype:
        class_label:
          names:
            '0': cat
            '1': dog
---
# Pets
"""
TABLE = (
    "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    'p0.png,40,30,cat,1,2,11.5,12\n"p0.png",40,30,dog,0,0,40,30\np1.png,40,30,,,,,\n'
    "p2.png,40,30,cat,5,5,6,7\n"
)
LINES = "".join(
    json.dumps({"file_name": f"p{i}.png", "objects": {"bbox": boxes, "categories": labels}}) + "\n"
    for i, (boxes, labels) in enumerate(
        [([[1, 2, 10, 10.5]], [0]), ([], []), ([[0, 0, 4, 4]], [1])]
    )
)
SHORT = [name.replace("images/", "") for name in IMAGES]


def yolo_folder(root):
    write(
        root, {"data.yaml": YAML, "labels/p0.txt": LABELS, "labels/p2.txt": "1 .5 .5 1 1"}, IMAGES
    )


def yolo_list(root):
    files = {"data.yaml": YAML.replace("train: images", "train: train.txt"), "train.txt": ""}
    files["train.txt"] = "./images/p0.png\nimages/p1.png\n\nC:\\data\\images\\p2.png\n"
    write(root, {**files, "labels/p0.txt": LABELS}, IMAGES)


def darknet(root):
    data = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    files = {"obj.data": data, "obj.names": "cat\ndog\n", "train.txt": "data/a/p0.png\na/p1.png\n"}
    write(root, {**files, "a/p0.txt": LABELS}, ("a/p0.png", "a/p1.png"))


def table_in(name, text=TABLE):
    return lambda root: write(root, {name: text}, IMAGES)


def image_folder_in(root):
    write(root, {"metadata.jsonl": LINES, "README.md": CARD}, SHORT)


def metadata_csv(root):
    objects = '"{""bbox"": [[1, 2, 3, 4]], ""categories"": [""cat""]}"'
    write(root, {"metadata.csv": f"file_name,objects\np0.png,{objects}\np1.png,\n"}, SHORT)


def coco_in(root):
    coco_files.write(root, coco_files.TABLES)


def voc_in(root):
    voc_files.write(root, {"p0": voc_files.SIZE + voc_files.item(), "p1": voc_files.SIZE})


HEADERLESS = "images/p0.png,1,2,11,12,cat\nimages/p1.png,,,,,\nimages/p2.png,1,1,3,3.5,dog\n"
WHEAT = 'image_id,width,height,bbox,source\np0,40,30,"[1.0, 2.0, 3.5, 4.0]",a\np1,40,30,[],a\n'
DIVIDED = (
    "split;path;label;x;y;w;h\ntrain;images/p0.png;cat;1;2;3;4\nvalid;images/p1.png;dog;1;2;3;4\n"
)
SHARES = (
    "ImageID\tLabelName\tXMin\tXMax\tYMin\tYMax\np0\t/m/01\t0.1\t0.5\t0.25\t1\np1\tb\t0\t1\t0\t1\n"
)

CASES = [
    # name, folder, file that is changed, reader, share of the readings
    ("data.yaml", yolo_folder, "data.yaml", yolo, 3),
    ("labels", yolo_folder, "labels/p0.txt", yolo, 3),
    ("list", yolo_list, "train.txt", yolo, 1),
    ("yaml of a list", yolo_list, "data.yaml", yolo, 1),
    ("obj.data", darknet, "obj.data", yolo, 1),
    ("obj.names", darknet, "obj.names", yolo, 1),
    ("csv", table_in("train_labels.csv"), "train_labels.csv", table, 2),
    ("without a header", table_in("a.csv", HEADERLESS), "a.csv", table, 1),
    ("bbox", table_in("train.csv", WHEAT), "train.csv", table, 1),
    ("column of splits", table_in("a.csv", DIVIDED), "a.csv", table, 1),
    ("tsv", table_in("train.tsv", SHARES), "train.tsv", table, 1),
    ("jsonl", image_folder_in, "metadata.jsonl", image_folder, 2),
    ("card", image_folder_in, "README.md", image_folder, 1),
    ("metadata.csv", metadata_csv, "metadata.csv", image_folder, 1),
    ("coco", coco_in, "annotations/instances_train.json", coco, 2),
    ("voc", voc_in, "Annotations/p0.xml", voc, 2),
]
PARTS = sum(case[-1] for case in CASES)


def read(reader, root, split, on_error):
    readers = {
        coco: lambda: coco.read_coco(root, [split], (), on_error),
        voc: lambda: voc.read_voc(root, [split], on_error=on_error),
        yolo: lambda: yolo.read_yolo(root, [split], on_error=on_error),
        table: lambda: table.read_table(root, [split], on_error=on_error),
        image_folder: lambda: image_folder.read_image_folder(root, [split], on_error=on_error),
    }
    return readers[reader]()


def check(dataset):
    """See that a data set is one that can be trained on."""
    paths = [record.file for record in dataset.records]
    assert len(set(paths)) == len(paths)
    for record in dataset.records:
        boxes, height, width = record.boxes, record.height, record.width
        assert boxes.dtype == np.float32
        assert np.isfinite(boxes).all()
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert ((record.labels >= 1) & (record.labels <= len(dataset.class_names))).all()
        assert os.path.isfile(record.file)
    for line in (*dataset.skipped, *dataset.notes):
        check_line(line)


def check_line(line):
    assert line.splitlines() == [line]
    assert len(line) < 3000, line


def too_long(*_):
    raise TimeoutError(f"a reading took more than {LONGEST} seconds")


@pytest.mark.parametrize("readings", READINGS)
@pytest.mark.parametrize(("name", "folder", "file", "reader", "parts"), CASES)
def test_a_damaged_file_is_read_rightly_or_refused_in_one_line(
    tmp_path, name, folder, file, reader, parts, readings
):
    folder(tmp_path)
    root, path = str(tmp_path), tmp_path / file
    content = path.read_bytes()
    find = getattr(reader, "find_splits", lambda root: {"train": ""})
    split = next(iter(find(root)))
    check(read(reader, root, split, "raise"))
    rng = np.random.default_rng([*name.encode(), *([] if readings == 20_000 else [readings])])
    tree = json.loads(content) if file.endswith(".json") else None
    signal.signal(signal.SIGALRM, too_long)
    turns = readings * parts // PARTS + 1
    refusals = []
    for turn in range(turns):
        is_tree = tree is not None and turn % 4 > 1
        changed = restructured(tree, rng) if is_tree else mutated(content, rng)
        path.write_bytes(changed)
        signal.alarm(LONGEST)
        try:
            found = find(root)
            check(read(reader, root, next(iter(found), split), ("raise", "skip")[turn % 2]))
        except DataError as error:
            refusals.append(str(error))
        except BaseException as error:
            error.add_note(f"turn {turn}: {changed[:2000]!r}")
            raise
        finally:
            signal.alarm(0)
    assert len(refusals) < turns
    assert refusals or turns < 100
    for line in refusals:
        check_line(line)
        assert root in line

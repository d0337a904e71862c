"""A data set of COCO's size: what is read of it, in how much memory, and what workers are sent."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from jaxrcnn.data import coco_file, headers
from jaxrcnn.data.coco import read_coco
from tests.data.coco_files import write_large

COCO = (118_000, 860_000)
MEGABYTES = 600
SECONDS = 600
"""Until a reading is taken for one that hangs."""

PROGRAM = """
import json, pickle, sys, time
from jaxrcnn.config import Config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.planning import plan_training
from jaxrcnn.data.sharing import shared

def memory(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024

root, steps = sys.argv[1:]
before, start = memory("VmRSS"), time.perf_counter()
dataset = read_coco(root, ["train"])
found = {"seconds": time.perf_counter() - start, "peak": memory("VmHWM") - before}
found["after"] = memory("VmRSS") - before
config = replace_fields(Config(), {"train.steps": int(steps), "train.batch_size": 16})
start = time.perf_counter()
plan = plan_training(dataset, config)
found |= {"plan": time.perf_counter() - start, "steps": len(plan.rows), "images": len(dataset)}
found |= {"boxes": len(dataset.columns.boxes), "sent": len(pickle.dumps(shared(dataset)))}
print(json.dumps(found))
"""


def check(dataset, drawn):
    """See that each record is what was drawn."""
    ids, sizes, owners, rows, categories, crowd = drawn
    records = dataset.columns
    order = np.argsort(owners, kind="stable")
    np.testing.assert_array_equal(records.image_ids, ids)
    np.testing.assert_array_equal(records.sizes, sizes)
    np.testing.assert_array_equal(records.owners, owners[order])
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
    np.testing.assert_array_equal(records.boxes, corners[order].astype(np.float32))
    np.testing.assert_array_equal(records.labels, categories[order])
    np.testing.assert_array_equal(records.crowd, crowd[order])
    np.testing.assert_array_equal(records.ignore, crowd[order])
    np.testing.assert_array_equal(records.annotation_ids, 1000 + order)
    areas = [round(width * height / 2, 4) for _, _, width, height in rows[order].tolist()]
    np.testing.assert_array_equal(records.area, np.array(areas, np.float32))
    last = dataset.records[-1]
    assert (last.name, last.image_id) == (f"{ids[-1]:012}.jpg", ids[-1])
    assert last.file.endswith(f"/train/{last.name}")


def test_what_is_read_of_a_large_file_is_what_was_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(coco_file, "LARGE", 0)
    monkeypatch.setattr(headers, "MANY", 1)
    monkeypatch.setattr(headers, "RECENT", 0)
    drawn = write_large(tmp_path / "set", 300, 9000)
    for _ in range(2):  # the second time from the cache
        check(read_coco(str(tmp_path / "set"), ["train"]), drawn)
        assert len(os.listdir(tmp_path / "cache" / "data")) == 2


@pytest.mark.soak
def test_a_data_set_of_coco_s_size(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    drawn = write_large(tmp_path / "set", *COCO)
    for _ in range(2):
        found = run(tmp_path / "set", 90_000)
        assert (found["images"], found["boxes"], found["steps"]) == (*COCO, 90_000)
        assert found["peak"] < MEGABYTES
        assert found["after"] < MEGABYTES
        assert found["sent"] < 10_000
    dataset = read_coco(str(tmp_path / "set"), ["train"])
    check(dataset, drawn)
    assert len(pickle.dumps(dataset)) < 60_000_000


def run(root, steps):
    """Figures of a process that opens a data set and plans the batches of so many steps."""
    command = [sys.executable, "-c", PROGRAM, str(root), str(steps)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    print(ended.stdout)
    return json.loads(ended.stdout)

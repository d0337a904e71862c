"""Fine-tuning reaches the result of a run from scratch in half of its steps, with a class more."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.detector import build
from jaxrcnn.runs import run

CONFIG = replace_fields(
    load_config(pathlib.Path(__file__).parents[1] / "configs" / "quickstart.py"),
    {
        "model.backbone.width": 16,
        "model.neck.channels": 32,
        "model.box_head.channels": 64,
        "data.short_side": 96,
        "data.long_side": 96,
        "data.num_train_images": 512,
        "train.optimizer.warmup_steps": 10,
        "train.optimizer.ema_decay": 0.9,
        "train.eval_every": 0,
        "train.log_every": 1000,
        "eval.images": 1,
    },
)


def sets(names):
    """The training and the evaluation set with some of the classes; the others are background."""
    return [reduced(shapes_dataset(count, seed), names) for count, seed in ((512, 0), (64, 1))]


def reduced(dataset, names):
    labels = np.zeros(1 + len(dataset.class_names), np.int32)
    for label, name in enumerate(names, start=1):
        labels[1 + dataset.class_names.index(name)] = label

    def keep(record):
        kept = labels[record.labels] > 0
        rows = {
            field: getattr(record, field)[kept]
            for field in ("boxes", "ignore", "crowd", "difficult", "area", "annotation_ids")
        }
        return dataclasses.replace(record, labels=labels[record.labels][kept], **rows)

    records = tuple(map(keep, dataset.records))
    ids = tuple(range(1, len(names) + 1))
    return dataclasses.replace(dataset, records=records, class_names=names, category_ids=ids)


def train(workdir, names, steps, init=""):
    """The last evaluation of a run."""
    fields = {
        "model.num_classes": len(names),
        "train.steps": steps,
        "train.checkpoint_every": steps,
        "train.init": str(init),
    }
    config = replace_fields(CONFIG, fields)
    run(config, workdir, build(config.model), *sets(names))
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, rows) if "eval/AP" in row][-1]


@pytest.mark.slow
def test_a_class_more_takes_half_of_the_steps(tmp_path, capsys):
    names, steps = ("star", "disk", "rectangle", "triangle"), 140
    train(tmp_path / "three", names[1:], steps)
    scratch = train(tmp_path / "scratch", names, steps)
    tuned = train(tmp_path / "tuned", names, steps // 2, init=tmp_path / "three")
    said = capsys.readouterr().out
    assert "rows of disk, rectangle, triangle kept by name, those of star re-initialised" in said
    assert tuned["eval/AP"] >= scratch["eval/AP"] > 0.05

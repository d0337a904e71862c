"""Planted faults are all found, and nothing else."""

import pathlib
import shutil

import pytest

from jaxrcnn.checking.findings import find, fingerprint, training_set
from jaxrcnn.checking.splits import read_splits
from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.fingerprint_file import describe_data
from tests.checking.planted import Planter, plant_all, write_set

SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "data"


def config_of(root, **data):
    fields = {"format": "coco", "train_splits": ("train",), "eval_split": "val", **data}
    return Config(data=DataConfig(root=str(root), **fields))


def found_in(config, cores=1):
    findings = find(list(read_splits(config)), cores, lambda _: None)
    return [(split, fault.kind, fault.record) for split, fault in findings.faults]


def test_a_data_set_without_faults_has_none(tmp_path):
    write_set(tmp_path)
    assert found_in(config_of(tmp_path)) == []


def test_all_planted_faults_are_found_and_none_else(tmp_path):
    write_set(tmp_path / "set")
    planter = Planter(tmp_path / "set")
    plant_all(planter, tmp_path / "elsewhere")
    assert sorted(found_in(config_of(tmp_path / "set"))) == sorted(planter.expected)
    assert len(planter.expected) > 20


SETS = {
    "bccd": ("train", "val", "JPEGImages", "JPEGImages"),
    "coco_mini": ("train2017", "val2017", "train2017", "val2017"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_all_faults_planted_in_real_data_are_found_and_none_else(name, tmp_path):
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} beside us")
    train, val, *folders = SETS[name]
    root = tmp_path / name
    root.mkdir()
    for part in {"annotations", *folders}:
        shutil.copytree(SHARED / name / part, root / part)
    config = config_of(root, train_splits=(train,), eval_split=val)
    assert found_in(config) == []
    planter = Planter(root, train, val, *folders)
    plant_all(planter, tmp_path / "elsewhere")
    assert sorted(found_in(config)) == sorted(planter.expected)


def test_the_fingerprint_is_that_of_a_run(tmp_path):
    write_set(tmp_path)
    config = config_of(tmp_path)
    digests = describe_data(config, *open_datasets(config, any_classes=True)).digests()
    assert fingerprint(config) == digests
    (tmp_path / "annotations/instances_val.json").write_text("{")
    assert "instances_val.json" in fingerprint(config)["none"]


def test_the_training_set_has_the_images_of_all_training_splits(tmp_path):
    write_set(tmp_path)
    config = config_of(tmp_path, train_splits=("train", "val"), eval_split="val")
    splits = list(read_splits(config))
    assert [(split.name, split.role) for split in splits] == [("train", "train"), ("val", "train")]
    whole = training_set(splits)
    assert whole is not None
    assert len(whole) == 36
    assert training_set([split._replace(dataset=None) for split in splits]) is None

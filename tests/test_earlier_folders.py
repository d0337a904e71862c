"""Folders of runs and models that earlier versions wrote are used as if they were of today.

fixtures/record_format_N.py wrote what is in fixtures/format_N, with the code of then.
"""

import json
import pathlib
import shutil
import tarfile

import numpy as np
import pytest

import jaxrcnn
from jaxrcnn import runs
from jaxrcnn.cli import main as command
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.detector import build
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.workdir import read_config
from tests.fixtures.record_format_1 import LAST_STEPS, SCORE, STEPS, draw_image

FOLDER = pathlib.Path(__file__).with_name("fixtures") / "format_1"
OTHER_PROPOSALS = 0.01
"""How much losses may differ: then, proposals without area were background to train on."""

RECORDED = json.loads((FOLDER / "recorded.json").read_text())


def earlier_names():
    """Every reading of an earlier config.json says what its fields are called now."""
    return pytest.warns(FutureWarning, match=r"eval\.pictures is now called eval\.images")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format_1")
    for name in ("run", "model"):
        with tarfile.open(FOLDER / f"{name}.tar.gz") as tar:
            tar.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", ["run", "model"])
def test_the_same_is_found_as_then(folders, name):
    with earlier_names():
        model = jaxrcnn.load(folders / name)
    assert model.step == (STEPS if name == "run" else 0)
    (found,) = model.predict([draw_image()], score=SCORE)
    then = RECORDED[name]["detections"]
    assert found.labels.tolist() == then["labels"]
    assert found.names.tolist() == then["names"]
    np.testing.assert_allclose(found.boxes, then["boxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.scores, then["scores"], rtol=0, atol=1e-5)


def test_a_run_is_evaluated_as_then(folders):
    with earlier_names():
        assert command(["evaluate", str(folders / "run")]) == 0
    path = folders / "run" / "eval" / f"step_{STEPS}" / "metrics.json"
    then = RECORDED["run"]["evaluation"]
    assert json.loads(path.read_text()) == pytest.approx(then, rel=OTHER_PROPOSALS)
    assert then["eval/AP"] > 0


def test_a_run_goes_on_as_then(folders, tmp_path):
    run = shutil.copytree(folders / "run", tmp_path / "run")
    with earlier_names():
        config = read_config(run)
    before = MetricsWriter.read(run / "metrics.jsonl")
    with earlier_names():
        runs.run(config, run, build(config.model), *open_datasets(config))
    with Checkpoints(run) as checkpoints:
        assert checkpoints.steps[-1] == STEPS + LAST_STEPS
    rows = MetricsWriter.read(run / "metrics.jsonl")
    assert rows[: len(before)] == before
    losses = {k: v for row in rows[len(before) :] for k, v in row.items() if "loss" in k}
    assert losses == pytest.approx(RECORDED["resumed"], rel=OTHER_PROPOSALS)

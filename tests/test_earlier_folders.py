"""Folders of runs and models that earlier versions wrote are used as if they were of today.

fixtures/record_format_N.py wrote what is in fixtures/format_N, with the code of then.
"""

import contextlib
import json
import pathlib
import shutil
import tarfile
from typing import NamedTuple

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

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
LOSS_TOLERANCE = {"format_1": 0.01, "format_3": 1e-4, "format_4": 1e-4, "format_5": 1e-4}
"""Relative. In format 1, proposals without area were background to train on."""


class Folders(NamedTuple):
    path: pathlib.Path  # of the folder that has run/ and model/
    recorded: dict  # what was made of them then
    tolerance: float  # of losses

    def reading(self):
        """Where a config.json is read: a file with earlier names says what they are called now."""
        if self.path.name.startswith("format_1"):
            return pytest.warns(FutureWarning, match=r"eval\.pictures is now called eval\.images")
        return contextlib.nullcontext()  # what is newer than a file has its default, in silence


@pytest.fixture(scope="module", params=["format_1", "format_3", "format_4", "format_5"])
def folders(request, tmp_path_factory):
    path, source = tmp_path_factory.mktemp(request.param), FIXTURES / request.param
    for name in ("run", "model"):
        with tarfile.open(source / f"{name}.tar.gz") as tar:
            tar.extractall(path, filter="data")
    recorded = json.loads((source / "recorded.json").read_text())
    return Folders(path, recorded, LOSS_TOLERANCE[request.param])


@pytest.mark.parametrize("name", ["run", "model"])
def test_the_same_is_found_as_then(folders, name):
    with folders.reading():
        model = jaxrcnn.load(folders.path / name)
    assert model.step == (STEPS if name == "run" else 0)
    (found,) = model.predict([draw_image()], score=SCORE)
    then = folders.recorded[name]["detections"]
    assert found.labels.tolist() == then["labels"]
    assert found.names.tolist() == then["names"]
    np.testing.assert_allclose(found.boxes, then["boxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.scores, then["scores"], rtol=0, atol=1e-5)


def test_a_run_is_evaluated_as_then(folders):
    with folders.reading():
        assert command(["evaluate", str(folders.path / "run")]) == 0
    path = folders.path / "run" / "eval" / f"step_{STEPS}" / "metrics.json"
    then = folders.recorded["run"]["evaluation"]
    assert json.loads(path.read_text()) == pytest.approx(then, rel=folders.tolerance)
    assert then["eval/AP"] > 0


def test_a_run_goes_on_as_then(folders, tmp_path):
    run = shutil.copytree(folders.path / "run", tmp_path / "run")
    with folders.reading():
        config = read_config(run)
    before = MetricsWriter.read(run / "metrics.jsonl")
    with folders.reading():
        runs.run(config, run, build(config.model), *open_datasets(config))
    with Checkpoints(run) as checkpoints:
        assert checkpoints.steps[-1] == STEPS + LAST_STEPS
    rows = MetricsWriter.read(run / "metrics.jsonl")
    assert rows[: len(before)] == before
    losses = {k: v for row in rows[len(before) :] for k, v in row.items() if "loss" in k}
    assert losses == pytest.approx(folders.recorded["resumed"], rel=folders.tolerance)

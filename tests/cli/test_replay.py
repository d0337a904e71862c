"""A run that diverges, and its step once more."""

import json
import re

import numpy as np
import pytest

from jaxrcnn.cli import main
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.failure import read_failure
from jaxrcnn.training.metrics import MetricsWriter

FIELDS = {
    "train.steps": 6,
    "train.log_every": 4,
    "train.eval_every": 0,
    "train.checkpoint_every": 5,
    "train.optimizer.learning_rate": 1e12,
    "train.optimizer.warmup_steps": 0,
    "train.optimizer.milestones": "()",
    "train.optimizer.clip_norm": 0,
    "train.trackers": "()",
}


def train(workdir, **fields):
    given = {**FIELDS, **fields}
    words = [word for name, value in given.items() for word in (f"--config.{name}", str(value))]
    return main(["train", "--config", "tiny", "--workdir", str(workdir), *words])


def saved(workdir):
    """The files with numbers of the last checkpoint, by their names."""
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.steps


@pytest.mark.slow
def test_a_diverged_run_is_repeated_and_the_operation_found(tmp_path, capfd, monkeypatch):
    """Whether the device has a step in advance or not, the state is that before the bad step."""
    lines = []
    for ahead in (False, True):
        monkeypatch.setattr("jaxrcnn.training.loop.runs_ahead", lambda ahead=ahead: ahead)
        workdir = tmp_path / f"ahead {ahead}"
        with pytest.raises(SystemExit) as ended:
            train(workdir)
        assert ended.value.code == 3
        line = capfd.readouterr().err.strip().splitlines()[-1]
        step = int(re.match(r"error: step (\d+): ", line)[1])
        assert saved(workdir) == [step - 1]
        assert f"Checkpoint {step - 1} holds" in line
        assert line.endswith(f"jaxrcnn replay {workdir / 'failure'}")
        assert MetricsWriter.read(workdir / "metrics.jsonl")[-1]["train/loss"] is None
        assert main(["replay", str(workdir / "failure")]) == 0
        said = capfd.readouterr().out
        assert "the same numbers as in the run, bit for bit" in said
        assert "first operation with a result that is not finite" in said
        assert re.search(r"  at      \S+/jaxrcnn/(nets|stages|ops)/\w+\.py:\d+ \(\w+", said)
        lines.append(said[said.index("first operation") :])
        failure = read_failure(workdir)
        assert failure.step == step
        assert np.isnan(failure.metrics["loss"])
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_a_run_that_skips_goes_on_to_its_limit(tmp_path, capfd):
    """All parameters are lost after the first step, so that every other is skipped."""
    skip = {"train.on_nonfinite": "skip", "train.max_skipped": 3}
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, **skip)
    assert ended.value.code == 3
    said = capfd.readouterr()
    assert ", the last of 3 such steps in a row. Its update was not made" in said.err
    rows = MetricsWriter.read(tmp_path / "metrics.jsonl")
    assert sum(row.get("train/skipped", 0) for row in rows) == 3
    failure = json.loads((tmp_path / "failure/failure.json").read_text())
    assert saved(tmp_path) == [failure["step"] - 1]
    # The same command goes on from there, and ends there again.
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, **{**skip, "train.max_skipped": 1})
    assert ended.value.code == 3


def test_what_is_no_such_folder_is_one_line(tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(tmp_path)])
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith(f"error: {tmp_path} has no failure.json: it is not")

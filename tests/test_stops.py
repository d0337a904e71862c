"""Runs that are stopped by signals at random moments, and go on: as processes, as people have them.

A sample in one process is in test_train.py.
"""

import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxrcnn.cli.run import load_run
from jaxrcnn.training.metrics import MetricsWriter

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE = 300.0  # seconds, for a machine that is busy
TIMES = 30

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}


def command(workdir, workers):
    fields = {
        "train.steps": 24,
        "train.checkpoint_every": 7,
        "train.eval_every": 6,
        "train.optimizer.milestones": "(20,)",
        "data.workers": workers,
    }
    words = [word for name, value in fields.items() for word in (f"--config.{name}", str(value))]
    return [sys.executable, "train.py", "--config", "tiny", "--workdir", str(workdir), *words]


def finish(workdir, workers):
    done = subprocess.run(
        command(workdir, workers), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that was left alone, and the seconds that it took."""
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(workdir, 0)  # which keeps what it compiled
    began = time.monotonic()
    finish(workdir.with_name("again"), 0)
    return workdir, time.monotonic() - began


def stop(workdir, workers, number, seconds, group):
    """Start a run and stop it; its exit code, the seconds that it took to end, its last lines."""
    with subprocess.Popen(
        command(workdir, workers),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        time.sleep(seconds)
        began = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=PATIENCE)
        return process.returncode, time.monotonic() - began, said.strip().splitlines()


def rows_of(workdir):
    rows = MetricsWriter.read(workdir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "train/images_per_second"} for row in rows]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(TIMES))
def test_a_run_that_is_stopped_at_any_moment_ends_as_one_that_was_not(undisturbed, tmp_path, seed):
    draw = random.Random(seed)
    number, workers, group = draw.choice([*SIGNALS]), draw.choice([0, 2]), draw.random() < 0.5
    share, workdir = draw.uniform(0.15, 1), tmp_path / "run"
    expected, seconds = undisturbed
    code, took, said = stop(workdir, workers, number, share * seconds, group)
    print(number.name, workers, group, f"{share:.2f}", code, f"{took:.2f} s", said)
    assert code in (SIGNALS[number], 0)
    if code:
        assert len(said) == 1
        assert said[0].startswith(number.name)
    assert took < 30
    finish(workdir, workers)
    assert rows_of(workdir) == rows_of(expected)
    ours, theirs = load_run(workdir), load_run(expected)
    assert ours.step == theirs.step == 24
    for one, other in zip(*(_arrays(model.variables) for model in (ours, theirs)), strict=True):
        np.testing.assert_array_equal(one, other)


def _arrays(tree):
    if not isinstance(tree, dict):
        return [np.asarray(tree)]
    return list(itertools.chain.from_iterable(_arrays(tree[name]) for name in sorted(tree)))

"""Runs that are stopped by signals at random moments, and go on: as processes, as people have them.

A sample in one process is in test_train.py.
"""

import contextlib
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
from tests.steered import rows_of

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE = 300.0  # seconds, for a machine that is busy
RUNS, STOPS = 10, 3

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}


def command(workdir, workers):
    fields = {
        "train.steps": 24,
        "train.log_every": 1,
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
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that was left alone, and the number of its lines."""
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    return workdir, len(finish(workdir, 0))


def stop(workdir, workers, number, lines, seconds, group):
    """Start a run and stop it so many seconds after a line, which does not depend on its speed.

    Returns:
        Its exit code, the seconds that it took to end, and its last lines.
    """
    with subprocess.Popen(
        command(workdir, workers),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # it is over
            (os.killpg if group else os.kill)(process.pid, number)
        out, said = process.communicate(timeout=PATIENCE)
        print(out.strip().splitlines()[-1:])
        return process.returncode, time.monotonic() - began, said.strip().splitlines()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_run_that_is_stopped_at_any_moment_ends_as_one_that_was_not(undisturbed, tmp_path, seed):
    draw, workdir, (expected, most) = random.Random(seed), tmp_path / "run", undisturbed
    for _ in range(STOPS):
        number, workers, group = draw.choice([*SIGNALS]), draw.choice([0, 2]), draw.random() < 0.5
        lines, seconds = draw.randint(1, most // 2), draw.uniform(0, 0.3)
        code, took, said = stop(workdir, workers, number, lines, seconds, group)
        print(number.name, workers, group, f"{lines} of {most}", code, f"{took:.2f} s", said)
        assert took < 30
        if code in (0, -number):  # all was done; or even the interpreter was about to end
            assert rows_of(workdir) == rows_of(expected)
            break
        assert code == SIGNALS[number]
        assert len(said) <= 3  # on a busy machine it says first that it ends
        assert said[-1].startswith(number.name)
    finish(workdir, 0)
    assert_same_run(workdir, expected)


def workers_of(pid):
    """The processes that make batches for a run."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            words = path.with_name("cmdline").read_bytes()
            if parent == pid and b"spawn_main" in words:
                found.append(int(path.parent.name))
    return found


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_run_whose_workers_are_lost_ends_as_one_that_was_not(undisturbed, tmp_path, number):
    workdir = tmp_path / "run"
    with subprocess.Popen(
        command(workdir, 2), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines, lost = [], 0
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("step 1/", "step 8/")):
                for pid in workers_of(process.pid):
                    os.kill(pid, number)
                    lost += 1
        assert process.wait(PATIENCE) == 0
    assert lost >= 2
    print([line for line in lines if "process" in line])
    assert_same_run(workdir, undisturbed[0])


@pytest.mark.soak
def test_nothing_of_a_run_that_is_killed_is_left(tmp_path):
    with subprocess.Popen(
        command(tmp_path / "run", 2), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("step 3/"))
        workers = workers_of(process.pid)
        assert len(workers) == 2
        process.kill()
    end = time.monotonic() + PATIENCE
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


def assert_same_run(workdir, expected):
    """Two runs have the same metrics, but for their speed, and the same parameters."""
    assert rows_of(workdir) == rows_of(expected)
    ours, theirs = load_run(workdir), load_run(expected)
    assert ours.step == theirs.step == 24
    for one, other in zip(*(_arrays(model.variables) for model in (ours, theirs)), strict=True):
        np.testing.assert_array_equal(one, other)


def _arrays(tree):
    if not isinstance(tree, dict):
        return [np.asarray(tree)]
    return list(itertools.chain.from_iterable(_arrays(tree[name]) for name in sorted(tree)))

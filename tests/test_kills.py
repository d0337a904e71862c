"""Runs that are killed again and again while they save, and disks that are really full."""

import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

import pytest

from jaxrcnn.training import retries
from jaxrcnn.training.best import choose
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.progress import Progress
from tests.steered import PROGRAMS, config_of, rows_of, run, scored, value_of

ROOT = pathlib.Path(__file__).parents[1]
SCORES = {step: (step * 7919 % 101) / 101 for step in range(2, 401, 2)}
PROGRAM = """
import pathlib, sys
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.cli.program import run_program
from tests.test_kills import SCORES, run, saving, scored

def main():
    with one_line_errors("", sys.argv[1]), scored(SCORES):
        run(pathlib.Path(sys.argv[1]), saving(*map(int, sys.argv[2:])))

run_program(main)
"""


def saving(steps, every=1):
    """Of a run that is saved after so many steps each, and its best state is kept."""
    return config_of(
        steps=steps,
        log_every=1,  # a run that is stopped has logged its last steps
        checkpoint_every=every,
        keep_checkpoints=2,
        keep_best="eval/AP",
    )


def run_until(number, seconds, workdir, *words):
    """Send a run a signal so long after it has shown its first step.

    Returns:
        Its exit code, and the last step that it has shown.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(workdir), *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith("step "):
        pass
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        said, _ = process.communicate()
    steps = map(int, re.findall(r"^step (\d+)/", line + said, re.MULTILINE))
    return process.returncode, max(steps, default=0)


def check_checkpoints(workdir):
    """See that what a run has left can be gone on from."""
    if last_step(workdir):
        with Checkpoints(workdir) as checkpoints:
            assert [checkpoints.fault(step) for step in checkpoints.steps] == [
                "" for _ in checkpoints.steps
            ]
            choose(workdir, saving(1), checkpoints.steps)  # its best one is there


def check_end(workdir, whole, *words):
    """See that a run has ended as one that is left alone does."""
    with scored(SCORES):
        run(whole, saving(*words))
    assert rows_of(workdir) == rows_of(whole)
    values = []
    for folder in (workdir, whole):
        with Checkpoints(folder) as checkpoints:
            state = checkpoints.restore(PROGRAMS.state_shapes())
            best = choose(folder, saving(1), checkpoints.steps)
            last = checkpoints.steps[-1], value_of(state.variables), state.opt_state["m"]
            values.append((best, last))
    assert values[0] == values[1]


@pytest.mark.soak
def test_a_run_that_is_killed_with_saves_in_flight_ends_as_one_that_was_not(tmp_path, capsys):
    """Three minutes; a save is under way nearly all the time."""
    rng, kills, unfinished, workdir = random.Random(0), 0, 0, tmp_path / "killed"
    while True:
        code, _ = run_until(signal.SIGKILL, rng.uniform(0, 0.7), workdir, 120)
        if not code:
            break
        assert code == -signal.SIGKILL
        kills += 1
        names = [path.name for path in (workdir / "checkpoints").glob("*")]
        unfinished += any(not name.isdecimal() for name in names)
        check_checkpoints(workdir)
    check_end(workdir, tmp_path / "whole", 120)
    with capsys.disabled():
        print(f"\n{kills} kills, {unfinished} of them in the middle of a save")
    assert kills >= 20


@pytest.mark.soak
def test_a_run_that_is_stopped_again_and_again_loses_nothing(tmp_path, capsys):
    """Two minutes; its only saves are those of signals, and of states that are the best so far."""
    rng, stops, steps, workdir = random.Random(0), 0, [0], tmp_path / "stopped"
    while True:
        number = rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        code, shown = run_until(number, rng.uniform(0, 0.7), workdir, 1500, 10_000)
        steps.append(last_step(workdir))
        if code in (0, -number):  # it is over, or even the interpreter was about to end
            break
        assert code == 128 + number
        assert steps[-1] >= max(shown, steps[-2])
        stops += 1
        check_checkpoints(workdir)
    assert steps[-1] == 1500
    check_end(workdir, tmp_path / "whole", 1500, 10_000)
    with capsys.disabled():
        print(f"\n{stops} stops, at steps {steps[1:-1]}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Fills:
    """A tracker that fills the disk to the last byte at a step."""

    def __init__(self, stuffing):
        self.stuffing = stuffing

    def write(self, step, metrics):
        if step == 5 and not self.stuffing.exists():
            with contextlib.suppress(OSError), self.stuffing.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(512))

    def close(self):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_run_on_a_full_disk_waits_for_space_and_leaves_nothing_torn(
    small_disk, tmp_path, comes_back, monkeypatch
):
    monkeypatch.setattr(retries, "PAUSES", (0.1, 0.1, 0.1))
    config = config_of(steps=12, checkpoint_every=2, log_every=1)
    stuffing, workdir, lines = small_disk / "stuffing", small_disk / "run", []

    def hear(_, text):
        lines.append(text)
        if comes_back and sum("trying again" in line for line in lines) == 2:
            stuffing.unlink(missing_ok=True)

    monkeypatch.setattr(Progress, "message", hear)
    with scored({}):
        run(tmp_path / "whole", config)
        lines.clear()
        if not comes_back:
            with pytest.raises(CheckpointError, match=r"could not be written .No space left"):
                run(workdir, config, trackers=[Fills(stuffing)])
            with Checkpoints(workdir) as checkpoints:
                assert [checkpoints.fault(step) for step in checkpoints.steps] == [""]
            assert rows_of(workdir) == rows_of(tmp_path / "whole")[: len(rows_of(workdir))]
            stuffing.unlink()
        run(workdir, config, trackers=[Fills(stuffing)] if comes_back else [])
    assert any("No space left on device); trying again" in line for line in lines)
    assert rows_of(workdir) == rows_of(tmp_path / "whole")
    assert last_step(workdir) == 12
    assert not [path for path in workdir.rglob("*") if path.suffix in (".tmp", ".partial")]

"""Runs that are killed again and again while they save, and disks that are really full."""

import contextlib
import os
import pathlib
import random
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
from tests.test_kills import SCORES, run, saving, scored
with scored(SCORES):
    run(pathlib.Path(sys.argv[1]), saving(int(sys.argv[2])))
"""


def saving(steps):
    """Of a run that is saved after each step, and its best state is kept."""
    return config_of(steps=steps, checkpoint_every=1, keep_checkpoints=2, keep_best="eval/AP")


def run_until_killed(workdir, steps, seconds):
    """Run in a process of its own, which is killed so long after its first line; whether it was."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(workdir), str(steps)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) and "step" not in line:
        pass
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0
    return False


def check_checkpoints(workdir, steps):
    """See that what a run has left can be gone on from."""
    if last_step(workdir):
        with Checkpoints(workdir) as checkpoints:
            assert [checkpoints.fault(step) for step in checkpoints.steps] == [
                "" for _ in checkpoints.steps
            ]
            choose(workdir, saving(steps), checkpoints.steps)  # its best one is there


def check_end(workdir, steps, whole):
    """See that a run has ended as one that is left alone does."""
    with scored(SCORES):
        run(whole, saving(steps))
    assert rows_of(workdir) == rows_of(whole)
    values = []
    for folder in (workdir, whole):
        with Checkpoints(folder) as checkpoints:
            state = checkpoints.restore(PROGRAMS.state_shapes())
            values.append((checkpoints.steps, value_of(state.variables), state.opt_state["m"]))
    assert values[0] == values[1]


@pytest.mark.soak
def test_a_run_that_is_killed_with_saves_in_flight_ends_as_one_that_was_not(tmp_path, capsys):
    """Three minutes; a save is under way nearly all the time."""
    rng, kills, unfinished = random.Random(0), 0, 0
    while run_until_killed(tmp_path / "killed", 400, rng.uniform(0, 0.7)):
        kills += 1
        names = [path.name for path in (tmp_path / "killed" / "checkpoints").glob("*")]
        unfinished += any(not name.isdecimal() for name in names)
        check_checkpoints(tmp_path / "killed", 400)
    check_end(tmp_path / "killed", 400, tmp_path / "whole")
    with capsys.disabled():
        print(f"\n{kills} kills, {unfinished} of them in the middle of a save")
    assert kills >= 20


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

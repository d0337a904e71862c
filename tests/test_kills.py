"""Runs that are killed again and again while they save, and disks that are really full."""

import contextlib
import random
import signal
import subprocess

import pytest

from jaxrcnn.training import retries
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.progress import Progress
from tests.killed import check_checkpoints, check_end, kills_of, run_until
from tests.steered import config_of, rows_of, run, scored


@pytest.mark.soak
def test_a_run_that_is_killed_with_saves_in_flight_ends_as_one_that_was_not(tmp_path, capsys):
    """A minute; a save is under way nearly all the time."""
    kills, unfinished, workdir = 0, 0, tmp_path / "killed"
    for _ in kills_of(workdir, 0.7, 450):
        kills += 1
        names = [path.name for path in (workdir / "checkpoints").glob("*")]
        unfinished += any(not name.isdecimal() for name in names)
        check_checkpoints(workdir)
    check_end(workdir, tmp_path / "whole", 450)
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

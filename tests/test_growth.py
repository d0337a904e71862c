"""A long run takes no more memory, files, threads or processes as it goes on."""

import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]
STEPS, EVERY = 2000, 100
SETTLED = 500  # the step from which on nothing should be new
ROOM = 40 * 2**20  # bytes; the images of a batch, kept by each step, would take more than 100 MB


class Used(NamedTuple):
    """What a process takes of the system's resources."""

    memory: int  # bytes
    files: int
    threads: int
    mappings: int
    children: int


def used_by(pid):
    folder = pathlib.Path("/proc", str(pid))
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Used(
        memory=1024 * int(status["VmRSS"].split()[0]),
        files=len(list((folder / "fd").iterdir())),
        threads=int(status["Threads"]),
        mappings=len((folder / "maps").read_text().splitlines()),
        children=sum(map(children_of, (folder / "task").iterdir())),
    )


def children_of(thread):
    try:
        return len((thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0


@pytest.mark.soak
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_of_many_steps_does_not_grow(tmp_path, workers, capsys):
    """Three minutes; a save and an evaluation every hundred steps."""
    fields = {
        "train.steps": STEPS,
        "train.log_every": EVERY,
        "train.checkpoint_every": EVERY,
        "train.eval_every": EVERY,
        "data.workers": workers,
    }
    words = [word for name, value in fields.items() for word in (f"--config.{name}", str(value))]
    command = [sys.executable, "train.py", "--config", "tiny", "--workdir", str(tmp_path), *words]
    used = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step ") and "/" in line.split()[1]:
                step = int(line.split()[1].partition("/")[0])
                used[step] = used_by(process.pid)
    assert process.returncode == 0
    with capsys.disabled():
        for step, each in used.items():
            print(step, f"{each.memory / 2**20:.0f} MB", *each[1:])
    before, after = used[SETTLED], used[STEPS - EVERY]
    assert after.memory < before.memory + ROOM
    assert after.files <= before.files + 2
    assert after.threads <= before.threads + 2
    assert after.mappings <= before.mappings + 50
    assert after.children <= before.children

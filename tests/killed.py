"""Runs that are killed: one in this process that ends as if it were, and whole processes."""

import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jaxrcnn.training.best import choose
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from tests.steered import PROGRAMS, config_of, rows_of, run, scored, value_of

ROOT = pathlib.Path(__file__).parents[1]
SCORES = {step: (step * 7919 % 101) / 101 for step in range(2, 401, 2)}
PROGRAM = """
import pathlib, sys
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.cli.program import run_program
from tests.killed import SCORES, run, saving, scored

def main():
    with one_line_errors("", sys.argv[1]), scored(SCORES):
        run(pathlib.Path(sys.argv[1]), saving(*map(int, sys.argv[2:])))

run_program(main)
"""


@contextlib.contextmanager
def killed_after_a_checkpoint(number: int = 1) -> Iterator[None]:
    """Whatever trains inside ends with a KeyboardInterrupt after so many checkpoints."""
    save, saved = Checkpoints.save, []

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        saved.append(state.step)
        if len(saved) == number:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        yield


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


def kills_of(workdir, most, *words):
    """Run, and kill the run within so many seconds, until it ends by itself; yields each time.

    It has more and more time where it does not get further: a busy machine may need longer to end.
    """
    rng, reached = random.Random(0), 0
    while code := run_until(signal.SIGKILL, rng.uniform(0, most), workdir, *words)[0]:
        assert code == -signal.SIGKILL
        step = last_step(workdir)
        most, reached = most * (1.1 if step == reached else 1), step
        yield


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

"""What a measurement costs, by a clock that the test turns."""

import numpy as np
import pytest

from jaxrcnn.config import Config, DiagnosticsConfig, TrainConfig
from jaxrcnn.training import cost
from jaxrcnn.training.cost import DiagnosticsCost
from jaxrcnn.training.sharding import Programs
from jaxrcnn.types import Batch

COMPILING, ORDINARY, MEASURED = 100.0, 2.0, 5.0


class Run:
    """Programs that turn the clock, and what is said about them."""

    def __init__(self, every, monkeypatch):
        self.now, self.said, self.every, self.seen = 0.0, [], every, set()
        monkeypatch.setattr(cost.time, "monotonic", lambda: self.now)
        config = Config(train=TrainConfig(diagnostics=DiagnosticsConfig(every)))
        self.cost = DiagnosticsCost(config, self.said.append)
        self.programs = Programs(None, self.train_step, None, None, None, None)

    def train_step(self, state, batch, stage):
        done, program = state, batch.images.shape
        self.now += 0.0 if program in self.seen else COMPILING
        self.seen.add(program)
        self.now += MEASURED if self.every and done % self.every == 0 else ORDINARY
        numbers = {"diagnostics/width/1": np.float32(done)} if self.every else {}
        return state + 1, {"loss": np.float32(1), **numbers}

    def go(self, shapes):
        rows, state = [], 0
        for done, shape in enumerate(shapes):
            batch = Batch(np.zeros(shape), *[None] * 8)
            state, row = self.cost.step(self.programs, state, batch, "joint", done)
            rows.append(row)
        return rows


@pytest.fixture
def run_of(monkeypatch):
    return lambda every: Run(every, monkeypatch)


def test_only_measured_steps_keep_the_numbers(run_of):
    rows = run_of(4).go([(1, 1)] * 9)
    there = [done for done, row in enumerate(rows) if "diagnostics/width/1" in row]
    assert there == [0, 4, 8]
    assert rows[4]["diagnostics/width/1"] == 4
    assert all(row["loss"] == 1 for row in rows)


def test_the_cost_is_the_difference_to_the_step_before_and_is_said_once(run_of):
    run = run_of(4)
    rows = run.go([(1, 1)] * 9)
    assert [row.get("diagnostics/seconds") for row in rows] == [None] * 4 + [3] + [None] * 3 + [3]
    assert run.said == ["diagnostics: 3 s every 4 steps, 27 % of the training time"]


def test_compilation_does_not_count(run_of):
    run = run_of(2)
    a, b = (1, 1), (1, 2)
    rows = run.go([a, b, b, a, b, b, b])
    seconds = [row.get("diagnostics/seconds") for row in rows]
    assert seconds == [None] * 6 + [3]  # the first whose shape was timed without compiling


def test_where_every_step_is_measured_there_is_nothing_to_compare_with(run_of):
    run = run_of(1)
    rows = run.go([(1, 1)] * 3)
    assert not any("diagnostics/seconds" in row for row in rows)
    assert run.said == ["diagnostics: in every step, which takes 5 s"]


def test_without_diagnostics_nothing_is_timed(run_of):
    run = run_of(0)
    assert run.go([(1, 1)] * 3) == [{"loss": 1}] * 3
    assert run.said == []

"""Two processes of two virtual devices each do what one process of four does."""

import json
import signal

import jax
import numpy as np
import pytest

from jaxrcnn.training.arrays import read_all
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from tests.hosts import finish, run, start

TRAIN = (
    *("train", "--config", "tiny", "--config.train.batch_size", 4, "--config.train.log_every", 1),
    *("--config.eval.batch_size", 4, "--config.data.num_eval_images", 5),
    *("--config.train.eval_every", 0, "--config.train.trackers", "()"),
)


OF_ONE_PROCESS = ("train/images_per_second", "data/padded_share")


def train(workdir, steps, processes):
    words = (*TRAIN, "--workdir", workdir, "--config.train.steps", steps)
    return run(words, processes, devices=4 // processes)


def numbers_of(workdir, step):
    """What a run has logged so far, and the parameters of its checkpoint."""
    rows = [
        {name: x for name, x in row.items() if name not in OF_ONE_PROCESS}
        for row in MetricsWriter.read(workdir / "metrics.jsonl")
    ]
    return rows, read_all(workdir / "checkpoints" / str(step))["variables"]["params"]


def assert_equal_runs(one, two, step):
    """Equal but for the order in which four devices' sums are added up."""
    (rows, params), (other_rows, other_params) = (numbers_of(x, step) for x in (one, two))
    assert [sorted(row) for row in rows] == [sorted(row) for row in other_rows]
    for row, other in zip(rows, other_rows, strict=True):
        np.testing.assert_allclose(list(other.values()), list(row.values()), rtol=1e-5, atol=1e-6)
    for x, other in zip(*map(jax.tree.leaves, (params, other_params)), strict=True):
        np.testing.assert_allclose(other, x, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_two_processes_train_evaluate_and_resume_as_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    (said, _), (others, _) = train(two, 2, processes=2)
    train(one, 2, processes=1)
    assert "step 2/2" in said
    assert "step" not in others.partition("\n")[2]  # the first process speaks for all
    assert_equal_runs(one, two, 2)
    found = json.loads((two / "eval" / "detections.json").read_text())
    assert {row["image_id"] for row in found} == set(range(1, 6))
    train(one, 3, processes=2)
    train(two, 3, processes=1)
    assert_equal_runs(one, two, 3)


def wait_for_steps(process, number):
    seen = 0
    for line in process.stdout:
        seen += line.startswith("step ")
        if seen == number:
            return
    raise AssertionError(process.stderr.read())


def start_long(workdir):
    return start((*TRAIN, "--workdir", workdir, "--config.train.steps", 100_000))


@pytest.mark.soak
@pytest.mark.parametrize("receiver", [0, 1])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_signal_to_one_process_saves_the_same_step_of_all(receiver, steps, tmp_path):
    started = start_long(tmp_path)
    wait_for_steps(started[0], steps)
    started[receiver].send_signal(signal.SIGTERM)
    codes, outputs = finish(started)
    saved = Checkpoints(tmp_path).steps[-1]
    assert codes == [143, 143], outputs
    for _, error in outputs:
        assert f"SIGTERM: saved step {saved}; the same command continues the run" in error


@pytest.mark.soak
@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_process_ends_the_others(dead, tmp_path):
    started = start_long(tmp_path)
    wait_for_steps(started[0], 2)
    started[dead].kill()
    codes, outputs = finish(started, timeout=130)  # jax's heartbeats take 100 s
    assert codes[1 - dead] in (5, -signal.SIGABRT), outputs  # the latter by jax itself


@pytest.mark.soak
def test_a_stuck_process_is_noticed_by_the_others(tmp_path):
    started = start_long(tmp_path)
    wait_for_steps(started[0], 4)
    started[1].send_signal(signal.SIGSTOP)
    assert started[0].wait(timeout=180) == 5
    assert list(tmp_path.glob("stuck_*.txt"))
    started[1].kill()
    finish(started)

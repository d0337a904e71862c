"""Two processes of two virtual devices each do what one process of four does."""

import json
import signal

import jax
import numpy as np
import pytest

from jaxrcnn.training.arrays import read_all
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from tests.damaged import spoil
from tests.hosts import finish, run, start

TRAIN = (
    *("train", "--config", "tiny", "--config.train.batch_size", 4, "--config.train.log_every", 1),
    *("--config.eval.batch_size", 4, "--config.data.num_eval_images", 5),
    *("--config.train.eval_every", 0, "--config.train.trackers", "()"),
)


OF_ONE_PROCESS = ("train/images_per_second", "data/padded_share")


def train(workdir, steps, processes, *more):
    words = (*TRAIN, "--workdir", workdir, "--config.train.steps", steps, *more)
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


FULL_FOR_CHECKPOINTS = """
import errno
from jaxrcnn.training import checkpoint, retries
def fail(path, *_): raise OSError(errno.ENOSPC, "No space left on device", str(path))
checkpoint.write_arrays, retries.PAUSES = fail, ()
"""


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_ends_both_with_the_same_error(tmp_path):
    often = "--config.train.steps", 6, "--config.train.checkpoint_every", 2
    codes, outputs = finish(
        start((*TRAIN, "--workdir", tmp_path, *often), before=FULL_FOR_CHECKPOINTS)
    )
    assert codes == [4, 4], outputs
    for _, said in outputs:
        line = said.strip().splitlines()[-1]
        assert line.startswith(f"error: the checkpoint {tmp_path / 'checkpoints' / '2'} could not")


FULL_FOR_METRICS = """
import errno
from jaxrcnn.training import metrics, retries
append, tries = metrics.MetricsWriter._append, []
def fill(self, line):
    tries.append(line)
    if number == {full} and 3 <= len(tries) <= 4:
        raise OSError(errno.ENOSPC, "No space left on device")
    append(self, line)
metrics.MetricsWriter._append, retries.PAUSES = fill, (35.0, 35.0)
"""


@pytest.mark.soak
@pytest.mark.parametrize("full", [0, 1])
def test_a_disk_that_is_full_for_longer_than_others_wait_ends_nothing(full, tmp_path):
    """Exchanges on CPUs wait for 30 s, and the watchdog for 60 s."""
    words = (*TRAIN, "--workdir", tmp_path, "--config.train.steps", 5)
    codes, outputs = finish(start(words, before=FULL_FOR_METRICS.format(full=full)))
    assert codes == [0, 0], outputs
    assert not list(tmp_path.glob("stuck_*.txt"))
    rows = MetricsWriter.read(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4, 5]


OWN_ERRORS = """
import time
from jaxrcnn.training import loop, metrics
from jaxrcnn.training.errors import CheckpointError
def fail(*_): raise CheckpointError(f"that of process {number}")
def close(self): time.sleep(4 * number); print("cleaned up", file=sys.stderr, flush=True)
import sys
loop.Loop._end_step, metrics.MetricsWriter.close = fail, close
"""


@pytest.mark.soak
def test_processes_with_errors_of_their_own_clean_up_and_end_with_them(tmp_path):
    words = (*TRAIN, "--workdir", tmp_path, "--config.train.steps", 5)
    codes, outputs = finish(start(words, before=OWN_ERRORS))
    assert codes == [4, 4], outputs
    for number, (_, said) in enumerate(outputs):
        assert f"cleaned up\nerror: that of process {number}\n" in said


ALTERNATING = (
    *("--config.train.stop_seconds", 300),  # for a machine that is busy
    *("--config.train.scheme", "alternating", "--config.train.optimizer.warmup_steps", 0),
    "--config.train.alternating.steps",
    "[{'trains': 'rpn', 'steps': 2}, {'trains': 'fast_rcnn', 'steps': 2},"
    " {'backbone': 'frozen', 'restart': ['rpn_head'], 'steps': 2},"
    " {'trains': 'fast_rcnn', 'backbone': 'frozen', 'restart': ['box_head'], 'steps': 2}]",
)


@pytest.mark.soak
def test_two_processes_alternate_and_resume_as_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, 8, 1, *ALTERNATING)
    started = start((*TRAIN, "--workdir", two, "--config.train.steps", 8, *ALTERNATING))
    wait_for_steps(started[0], 3)
    started[1].send_signal(signal.SIGTERM)
    codes, outputs = finish(started)
    assert codes in ([143, 143], [0, 0]), outputs
    print(codes, Checkpoints(two).steps)
    train(two, 8, 2, *ALTERNATING)
    assert_equal_runs(one, two, 8)


@pytest.mark.soak
def test_two_processes_go_back_to_the_last_checkpoint_that_is_whole(tmp_path):
    one, two, often = tmp_path / "one", tmp_path / "two", ("--config.train.checkpoint_every", 1)
    train(two, 2, 2, *often)
    spoil(two / "checkpoints" / "2")
    words = (*TRAIN, "--workdir", two, "--config.train.steps", 3, *often)
    codes, outputs = finish(start(words))
    assert sorted(codes) in ([4, 4], [4, 5]), outputs  # one may hear of the other's end first
    for _, error in outputs:
        assert error.count("\n") == 1
        assert "The last good checkpoint is that of step 1: train.on_bad_checkpoint=last" in error
    (said, _), _ = train(two, 3, 2, *often, "--config.train.on_bad_checkpoint", "last_good")
    assert "It is renamed to bad_2, and training resumes from step 1" in said
    names = sorted(path.name for path in (two / "checkpoints").iterdir())
    assert names == ["2", "3", "bad_2"]
    train(one, 3, 1, *often)
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


SLOW_COMPILER = """
import time
from jaxrcnn.training import program as module
compile, barrier, begun = module.Program.compile, module.barrier, []
def slowly(self, *args, **options):
    begun.append(self)
    print("compiling program", len(begun), flush=True)
    if len(begun) == {slow} and number >= {first}:
        module._FOREGROUND.submit(time.sleep, 300).result()
    compile(self, *args, **options)
def say(*words):
    print("waiting for the others", flush=True)
    barrier(*words)
module.Program.compile, module.barrier = slowly, say
"""
"""Takes five minutes for one of the programs, in the processes from a `first` one on."""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("slow", "first", "line", "receiver", "saved"),
    [
        (1, 0, "compiling program 1", 1, "nothing to save yet"),
        (1, 1, "waiting for the others", 0, "nothing to save yet"),
        (2, 0, "compiling program 2", 0, "saved step 2"),  # the evaluation
    ],
)
def test_a_signal_to_one_process_ends_what_all_compile(
    slow, first, line, receiver, saved, tmp_path
):
    words = (*TRAIN, "--workdir", tmp_path, "--config.train.steps", 3)
    words = (*words, "--config.train.eval_every", 2, "--config.train.stop_seconds", 200)
    started = start(words, before=SLOW_COMPILER.format(slow=slow, first=first))
    wait_for_line(started[0], line)
    started[receiver].send_signal(signal.SIGTERM)
    codes, outputs = finish(started, timeout=150)
    assert codes == [143, 143], outputs
    for _, error in outputs:
        assert error.endswith(f"SIGTERM: {saved}; the same command continues the run\n")
    if saved == "saved step 2":
        run(words)
        assert MetricsWriter.read(tmp_path / "metrics.jsonl")[-1]["step"] == 3


def wait_for_line(process, said):
    assert any(said in line for line in process.stdout), process.stderr.read()


SLOW_DRIVE = """
import time
from jaxrcnn.training import loop
def read(*_):
    print("reading", flush=True)
    time.sleep(300)
loop.Loop._open = read
"""


@pytest.mark.soak
def test_a_process_that_is_given_up_ends_the_others_at_once(tmp_path):
    """It gets a signal while both read images, which takes longer than train.stop_seconds."""
    words = (*TRAIN, "--workdir", tmp_path, "--config.train.steps", 5)
    started = start((*words, "--config.train.stop_seconds", 3), before=SLOW_DRIVE)
    wait_for_line(started[0], "reading")
    started[1].send_signal(signal.SIGTERM)
    codes, outputs = finish(started, timeout=60)  # jax's heartbeats take 100 s
    assert codes == [5, 143], outputs
    assert "ended: not finished 3 s after SIGTERM, without saving" in outputs[0][1]


UNREADABLE = """
from jaxrcnn.data import batches
from jaxrcnn.data.errors import fault
read = batches._transformed
def fail(frame, index, rng, *words):
    if index == number and rng is not None:
        raise fault("shapes", f"image {index}", "cannot be read")
    return read(frame, index, rng, *words)
batches._transformed = fail
"""
"""Each process cannot read an image of its own in training."""


@pytest.mark.soak
@pytest.mark.parametrize(("share", "expected"), [(0.2, [2, 5]), (0.25, [0, 0])])
def test_images_that_different_processes_cannot_read_are_counted_together(
    share, expected, tmp_path
):
    """Two of the eight; one would be within both shares."""
    words = (*TRAIN, "--workdir", tmp_path, "--config.train.steps", 20)
    skip = ("--config.data.on_error", "skip", "--config.data.max_skipped_share", share)
    codes, outputs = finish(start((*words, *skip), before=UNREADABLE))
    assert sorted(codes) == expected, outputs
    if expected != [0, 0]:
        for _, error in outputs:
            assert "2 of 8 images cannot be used, more than data.max_skipped_share=0.2" in error


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

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxrcnn.data import workers
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.workers import Workers
from tests.slow import slow_but

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 60.0  # seconds, for a machine that is busy
LARGE = 2_000_000  # bytes: many times what a pipe holds


class OwnError(Exception):
    """One that cannot be sent as it is: it takes two arguments and tells of one."""

    def __init__(self, what, why):
        super().__init__(what)


def make(step):
    """A large array, and the process that made it."""
    return np.full(LARGE, step, np.uint8), os.getpid()


def with_fate(folder, step, fate):
    """A function as `make`, of whose processes the first that comes to a step meets its fate."""

    def make_or_not(at):
        if at == step:
            with contextlib.suppress(FileExistsError):
                (folder / "met").touch(exist_ok=False)
                fate()
        return make(at)

    return make_or_not


@pytest.fixture
def started():
    """Starts Workers, and closes them."""
    with contextlib.ExitStack() as stack:
        yield lambda *args: stack.enter_context(contextlib.closing(Workers(*args)))


def assert_all(results, steps):
    """The results are those of the steps, each once and in order."""
    found = list(results)
    assert [array[0] for array, _ in found] == list(steps)
    assert all((array == array[0]).all() and array.flags.writeable for array, _ in found)
    return [pid for _, pid in found]


def is_there(pid):
    """Whether a process exists; one that has ended and was not asked for does not count."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGRTMIN + 3, "signal 37")]
)
def test_a_killed_process_loses_and_doubles_nothing(started, tmp_path, number, name):
    said = []
    fate = lambda: os.kill(os.getpid(), number)  # noqa: E731
    results = started(with_fate(tmp_path, 5, fate), range(2, 12), 2, 1, said.append)
    pids = assert_all(results, range(2, 12))
    assert len(set(pids)) == 3
    assert said == [
        f"step 5: the worker that makes its batch was ended by {name}; another one takes over"
    ]


@pytest.mark.slow
def test_a_process_may_be_killed_while_it_sends(started):
    said = []
    results = started(make, range(8), 1, 1, said.append)
    array, pid = next(results)
    time.sleep(1)  # one result waits here, and the pipe is full of the start of another
    os.kill(pid, signal.SIGKILL)
    assert array[0] == 0
    assert_all(results, range(1, 8))
    assert len(said) == 1


@pytest.mark.slow
def test_a_stopped_process_is_replaced(started, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "STOPPED", 1)
    said = []
    fate = lambda: os.kill(os.getpid(), signal.SIGSTOP)  # noqa: E731
    results = started(with_fate(tmp_path, 3, fate), range(6), 1, 1, said.append)
    first, *_, last = assert_all(results, range(6))
    assert said[0] == f"step 3: worker {first}, which makes its batch, is stopped"
    assert not is_there(first)
    assert first != last


@pytest.mark.slow
def test_a_step_that_ends_every_process_ends_the_run(started):
    said = []
    results = started(lambda step: os._exit(7) if step == 1 else step, range(4), 1, 1, said.append)
    assert next(results) == 0
    with pytest.raises(DataError, match=r"step 1: .* ended with exit code 7, 3 times in a row"):
        next(results)
    assert len(said) == 2


def test_an_error_arrives_with_its_place(started):
    def fail(step):
        raise DataError(f"step {step} is wrong")

    with pytest.raises(DataError, match="step 3 is wrong") as raised:
        next(started(fail, range(3, 9), 2, 1))
    assert str(raised.value) == "step 3 is wrong"
    assert "in fail" in raised.value.__notes__[0]


def test_an_error_that_cannot_be_sent_is_told(started):
    def fail(step):
        raise OwnError("what", "why")

    with pytest.raises(RuntimeError, match="OwnError: what"):
        next(started(fail, range(2), 1, 1))


def test_closing_ends_the_processes():
    results = Workers(make, range(100), 2, 1)
    pids = [next(results)[1] for _ in range(2)]
    results.close()
    assert not any(map(is_there, pids))
    with pytest.raises(ValueError, match="closed"):
        next(results)


@pytest.mark.parametrize("number", slow_but([signal.SIGKILL], [signal.SIGKILL, signal.SIGTERM]))
def test_processes_end_with_their_parent_however_it_dies(number):
    code = (
        "from tests.data.test_workers import Workers, hang\n"
        "import time\nif __name__ == '__main__':\n"
        "    results = Workers(hang, range(9), 2, 1)\n"
        "    print(*(next(results) for _ in range(2)), flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(map(is_there, pids))
        parent.send_signal(number)
        parent.wait(PATIENCE)
        wait_until(lambda: not any(map(is_there, pids)))


def hang(step):
    """The process of each of the first two steps, and nothing more for a long time."""
    if step > 1:
        time.sleep(600)
    return os.getpid()


def test_an_interruption_from_the_keyboard_is_left_to_the_parent(started):
    results = started(make, range(6), 1, 1)
    pids = {next(results)[1]}
    os.kill(*pids, signal.SIGINT)
    assert set(assert_all(results, range(1, 6))) == pids

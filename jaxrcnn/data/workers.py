"""Processes that make batches, which may be lost at any time without a batch being lost.

A batch is a function of its step. So a process that dies is replaced by one that goes on with the
step that is due, and nothing but time is lost.
"""

import contextlib
import multiprocessing
import os
import pathlib
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from jaxrcnn.data.errors import DataError

T = TypeVar("T")

REMEDY = (
    "after SIGKILL the memory was probably full: use fewer data.workers; else an image of this "
    "batch crashes what decodes or transforms it: data.workers=0 shows where"
)
TRIES = 3
"""Processes that may die over one step before the run ends."""
STOPPED = 10
"""Seconds that a run waits for a process that is stopped (SIGSTOP) before it is replaced."""


class _Failed(NamedTuple):
    """What a process raised in place of a batch."""

    error: Exception


class Workers(Iterator[T], Generic[T]):
    """The results of a function for each step of a range, in order, made ahead in processes.

    A process ends with this one, however this one dies, and when it is closed. Ctrl-C, which goes
    to all processes of a terminal, is left to this one.

    Args:
        make: gives the result for a step; functions of `__main__` and lambdas are fine.
        steps: to make.
        number: of processes.
        ahead: results that each has waiting here.
        say: prints a line where a process is lost.
    """

    def __init__(
        self,
        make: Callable[[int], T],
        steps: range,
        number: int,
        ahead: int,
        say: Callable[[str], None] | None = None,
    ) -> None:
        import cloudpickle

        made, self._closed = cloudpickle.dumps(make), threading.Event()
        shares = [steps[place::number] for place in range(number)]
        say = say or _to_stderr
        self._workers = [_Worker(made, share, ahead, say, self._closed) for share in shares]
        self._steps = iter(steps)

    def __next__(self) -> T:
        step = next(self._steps)
        workers = self._workers
        workers.append(workers.pop(0))  # the next one's turn
        result: Any = workers[-1].take(step)
        if isinstance(result, _Failed):
            self.close()
            raise result.error
        return result

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        for worker in self._workers:
            worker.close()


class _Worker:
    """A share of the steps: a process that makes their results, and a thread that takes them."""

    def __init__(
        self,
        make: bytes,
        steps: range,
        ahead: int,
        say: Callable[[str], None],
        closed: threading.Event,
    ) -> None:
        self._make, self._steps, self._say, self._closed = make, steps, say, closed
        self._process: Any = None
        self._failed = False
        self._results: queue.Queue[Any] = queue.Queue(ahead)
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()

    def take(self, step: int) -> Any:
        """The result for a step, which is the next of its share."""
        stopped = 0
        while not self._closed.is_set():
            try:
                return self._results.get(timeout=1)
            except queue.Empty:
                process = self._process
                stopped = stopped + 1 if process and _is_stopped(process.pid) else 0
                if stopped == STOPPED:
                    self._say(
                        f"step {step}: worker {process.pid}, which makes its batch, is stopped"
                    )
                    process.kill()
        raise ValueError("the batches are closed")

    def close(self) -> None:
        """End the process and the thread."""
        with contextlib.suppress(AttributeError, ValueError):  # it is not started yet
            self._process.kill()
        self._thread.join()

    def _tend(self) -> None:
        """Have all steps made; whatever goes wrong is handed over in place of a result."""
        # What is blocked here stays so in processes that this thread starts, from their birth on;
        # multiprocessing's own process, started with the first of them, would unblock it.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._make_all()
        except Exception as error:
            self._put(_Failed(error))

    def _make_all(self) -> None:
        """Start one process after the other, until all steps are made.

        Raises:
            DataError: several were lost over the same step.
        """
        steps, lost = self._steps, 0
        while steps and not self._closed.is_set():
            done = self._run(steps)
            steps, lost = steps[done:], 1 if done else lost + 1
            if not steps or self._failed or self._closed.wait(1):
                return
            ended = f"step {steps[0]}: the worker that makes its batch {self._end()}"
            if lost == TRIES:
                raise DataError(f"{ended}, {TRIES} times in a row; {REMEDY}")
            self._say(f"{ended}; another one takes over")

    def _run(self, steps: range) -> int:
        """Start a process for steps; how many results came before it ended."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(theirs, self._make, steps), daemon=True)
        self._process = process
        try:
            process.start()
            theirs.close()  # so that the end of the process is the end of what can be read
            return self._take_over(ours, len(steps))
        except BrokenPipeError:  # it died before it knew what to do
            return 0
        finally:
            ours.close()
            theirs.close()
            if process.pid is not None:
                process.join(0.5)
                process.kill()
                process.join()

    def _take_over(self, results: Connection, number: int) -> int:
        """Hand over so many results, or as many as come before the process ends; their number."""
        for place in range(number):
            if self._closed.is_set():
                return place
            try:
                result = _receive(results)
            except (EOFError, OSError):  # the latter in the middle of a result
                return place
            self._failed = isinstance(result, _Failed)
            if not self._put(result) or self._failed:
                return place + 1
        return number

    def _end(self) -> str:
        """How the last process ended."""
        code = self._process.exitcode
        if code is None:
            return "could not be started"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:  # most real-time signals have no name
            return f"was ended by signal {-code}"

    def _put(self, result: Any) -> bool:
        """Hand a result over; whether anyone wants it."""
        while not self._closed.is_set():
            try:
                self._results.put(result, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def follow_parent() -> None:
    """Leave Ctrl-C, which goes to all processes of a terminal, to the one that started this one.

    This process ends as soon as that one does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _work(results: Connection, make: bytes, steps: range) -> None:
    """What a process does."""
    follow_parent()
    try:
        function = pickle.loads(make)
    except Exception as error:
        _send(results, _failed(error))
        return
    for step in steps:
        try:
            result = function(step)
        except Exception as error:
            result = _failed(error)
        try:
            _send(results, result)
        except BrokenPipeError:  # nobody wants it
            return


def _failed(error: Exception) -> _Failed:
    """An error as it can be sent, with the place where it was raised."""
    place = "".join(traceback.format_exception(error))
    error.add_note(f"in a process that makes batches:\n{place}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error of one's own with other arguments
        return _Failed(RuntimeError(place))
    return _Failed(error)


def _send(results: Connection, result: Any) -> None:
    """Send a result, its arrays as they lie in memory."""
    arrays: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(result, protocol=5, buffer_callback=arrays.append)
    raw = [array.raw() for array in arrays]
    results.send((rest, [array.nbytes for array in raw]))
    for array in raw:
        results.send_bytes(array)


def _receive(results: Connection) -> Any:
    """What `_send` sends; its arrays can be written to."""
    rest, sizes = results.recv()
    arrays = [np.empty(size, np.uint8) for size in sizes]
    for array in arrays:
        results.recv_bytes_into(array)
    return pickle.loads(rest, buffers=arrays)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: then a pipe closes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped, where the system can say so."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] in "Tt"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

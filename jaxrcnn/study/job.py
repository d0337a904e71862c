"""One job of a study: a process that does one run after another on its own cores.

`python -m jaxrcnn.study.job FD CORES`, started by `jaxrcnn.study.jobs`. FD is a connection to the
study's process, which sends what `serve` takes. Nothing that loads jax is imported before the
process is on its cores, since XLA has a thread for each core that it finds.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

SECONDS = 5.0
"""In which a job ends after a signal that has nothing to save."""


class Failed(NamedTuple):
    """What a run ended with in place of an outcome, such as an image that cannot be read."""

    message: str
    exit_code: int


def main() -> NoReturn:
    """Run the process until the study's process has no more for it, or is gone."""
    connection, cores = Connection(int(sys.argv[1])), sys.argv[2].split(",")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cores))
    from jaxrcnn.training.interruption import Interruption
    from jaxrcnn.training.signals import end_now

    code = 0
    try:
        with Interruption(SECONDS, end=end_now) as interruption, interruption.leavable():
            serve(connection, _prepare)
    except KeyboardInterrupt as error:
        print(error)
        code = getattr(error, "exit_code", 128 + signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what compiles in the background is not waited for


def serve(connection: Connection, prepare: Callable[..., Callable[[Any], Any]]) -> None:
    """Do what the study's process sends, up to None or an error; answer each with its outcome.

    Args:
        connection: sends the arguments of `prepare`, then units of runs. `Failed` is the answer
            where one cannot be done.
        prepare: returns the function that does a unit.
    """
    messages = _received(connection)
    try:
        run = prepare(*next(messages))
        for unit in messages:
            connection.send(run(unit))
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        connection.send(Failed(str(error), code))


def _received(connection: Connection) -> Iterator[Any]:
    """What comes through a connection, up to None; where it closes, the process gets a SIGTERM."""
    messages: queue.Queue[Any] = queue.Queue()

    def receive() -> None:
        try:
            while (message := connection.recv()) is not None:
                messages.put(message)
        except (EOFError, OSError):  # the study's process is gone
            os.kill(os.getpid(), signal.SIGTERM)
        messages.put(None)

    threading.Thread(target=receive, daemon=True).start()
    return iter(messages.get, None)


def _prepare(plan: Any, workdir: Any) -> Callable[[Any], Any]:
    """Open the data; the function that does a unit of a study."""
    from jaxrcnn.runtime.process import prepare_output, prepare_process
    from jaxrcnn.study.plan import open_sets
    from jaxrcnn.study.running import run_unit

    prepare_output()
    prepare_process()
    sets = open_sets(plan, workdir)

    def run(unit: Any) -> Any:
        print(f"\n{unit}", flush=True)
        return run_unit(plan, unit, workdir, sets)

    return run


if __name__ == "__main__":
    main()

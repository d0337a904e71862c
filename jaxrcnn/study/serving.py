"""The process of a job of a study; see `jaxrcnn.study.jobs`.

Nothing that loads jax is imported before the process is pinned to its cores, since XLA starts a
thread for each core that it finds.
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


def run_job(prepare: Callable[..., Callable[[Any], Any]]) -> NoReturn:
    """Run the process until the study's process has no more for it, or is gone.

    The command line has the file descriptor of a connection to that one, and numbers of cores.

    Args:
        prepare: see `serve`.
    """
    connection, cores = Connection(int(sys.argv[1])), sys.argv[2].split(",")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cores))
    from jaxrcnn.training.interruption import Interruption
    from jaxrcnn.training.signals import end_now

    code = 0
    try:
        with Interruption(SECONDS, end=end_now) as interruption, interruption.leavable():
            serve(connection, prepare)
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
        from jaxrcnn.training.expected import expected

        if (end := expected(error)) is None:
            raise
        connection.send(Failed(*end))
        for _ in messages:  # what is not read when this process ends would undo the answer
            pass


def _received(connection: Connection) -> Iterator[Any]:
    """What comes through a connection, up to None; where it closes, the process gets a SIGTERM.

    Raises:
        Exception: what comes cannot be read, such as pieces that cannot be imported here.
    """
    messages: queue.Queue[Any] = queue.Queue()

    def receive() -> None:
        try:
            while (message := connection.recv()) is not None:
                messages.put(message)
            messages.put(None)
        except (EOFError, OSError):  # the study's process is gone
            os.kill(os.getpid(), signal.SIGTERM)
            messages.put(None)
        except Exception as error:
            messages.put(error)

    threading.Thread(target=receive, daemon=True).start()
    while (message := messages.get()) is not None:
        if isinstance(message, Exception):
            raise message
        yield message

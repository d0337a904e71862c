"""How the processes of one run meet by `jax.distributed`, and how they end together.

A process that fails says so in the store of jax's coordinator, and a thread of each of the others
reads it there: what they wait for inside of a compiled program cannot be interrupted otherwise.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import jax

from jaxrcnn.config import ConfigError
from jaxrcnn.training.errors import PeerError
from jaxrcnn.training.hosts import client, is_first, lost, several, this_process

AUTO = "auto"
"""In place of a coordinator: jax asks the cluster."""
CLUSTERS = "SLURM, Open MPI, GKE (or another Kubernetes) and Cloud TPU"
"""What jax finds the coordinator of by itself."""

CONNECT = 300
"""Seconds in which all processes have to be there."""
TICK = 0.25
"""Seconds between two looks at whether a process has failed."""
OWN = 1.0
"""Seconds in which a process may fail by itself after another has: equal ones fail together."""
SEEN = 3.0
"""Seconds in which all have seen that one failed. Then the first process, and the store with it,
may go; it has to be more than `OWN`."""
CLEANUP = 180.0
"""Seconds that a process has to end after an error of its own: more than what is tried again while
a disk is full."""

FAILED = "jaxrcnn/failed"
"""Key of what the first process to fail said."""
ENDING, LEFT = "jaxrcnn/ending/", "jaxrcnn/left/"
"""Keys, with its number behind, of a process that ends by itself, and of one that has."""

LOST = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "heartbeat", "Connection")
"""In jax's errors where another process is gone."""

_is_ending = threading.Event()


def start(coordinator: str, processes: int | None = None, process: int | None = None) -> None:
    """Join the other processes; before anything else asks jax for its devices.

    Args:
        coordinator: HOST:PORT of the first process, the same for all; or "auto".
        processes: how many there are.
        process: the number of this one, from 0.

    Raises:
        ConfigError: there is no cluster that jax knows, or the address is none.
        PeerError: the others did not come.
    """
    # jax's own handler of SIGTERM would take it from ours.
    jax.config.update("jax_enable_preemption_service", False)
    if jax.config.jax_platforms == "cpu":  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    given = None if coordinator == AUTO else coordinator
    try:
        jax.distributed.initialize(given, processes, process, initialization_timeout=CONNECT)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"--distributed auto found no cluster ({error}). jax knows {CLUSTERS}; elsewhere give "
            "--coordinator HOST:PORT --processes N --process I"
        ) from error
    except RuntimeError as error:
        name = "the cluster's coordinator" if coordinator == AUTO else coordinator
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PeerError(f"not all processes connected to {name} ({said})") from error
    if not is_first():  # which prints for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
    threading.Thread(target=_watch, daemon=True, name="peers").start()


def finish() -> None:
    """Leave the others in order, once all of them are done."""
    if jax.distributed.is_initialized():
        _tell(f"{LEFT}{jax.process_index()}")
        jax.distributed.shutdown()


@contextlib.contextmanager
def own_errors() -> Iterator[None]:
    """Note that an error which leaves this ends the process by itself.

    So an error of another process does not end it before it has cleaned up and said its own.
    """
    try:
        yield
    except BaseException:
        _begin_to_end()
        raise


def fail(message: str) -> None:
    """Tell the others that this process ends, so that they do not wait for it.

    It should not wait for them either, and end by `os._exit`.
    """
    if not jax.distributed.is_initialized():
        return
    _begin_to_end()
    _tell(FAILED, f"{this_process()} ended: {message}")  # unless another one was first
    _leave()


def tell_at_once(message: str) -> None:
    """Tell the others that this process ends without waiting for anything.

    It returns within a few seconds, also where the store does not answer. The first process stays
    until the others have seen it, since the store ends with it.
    """
    if not jax.distributed.is_initialized():
        return
    said = f"{this_process()} ended: {message}"
    thread = threading.Thread(target=_tell, args=(FAILED, said), daemon=True)
    thread.start()
    thread.join(SEEN)
    if is_first():
        time.sleep(SEEN)


def why_lost(error: BaseException) -> PeerError:
    """The error for one of jax's that says another process is gone; if it said why, with that."""
    for _ in range(round(SEEN / TICK)):
        if said := _said_by_another():
            return PeerError(said)
        time.sleep(TICK)
    return error if isinstance(error, PeerError) else lost(error)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    if isinstance(error, PeerError):
        return True
    return (
        jax.distributed.is_initialized()
        and isinstance(error, jax.errors.JaxRuntimeError)
        and any(word in str(error) for word in LOST)
    )


def _watch() -> None:
    """End this process when another one has said that it fails."""
    while not (said := _said_by_another()):
        time.sleep(TICK)
        if not jax.distributed.is_initialized():
            return
    if _is_ending.wait(OWN):
        time.sleep(CLEANUP)  # it is over before, unless it waits for a process that is gone
    _end(said)


def _end(said: str) -> NoReturn:
    print(f"error: {said}", file=sys.stderr, flush=True)
    _leave()
    os._exit(PeerError.exit_code)


def _said_by_another() -> str:
    """What another process said before it ended; empty if none has."""
    try:
        said = client().key_value_try_get(FAILED)
    except (RuntimeError, AttributeError):  # nothing was said, or we have left
        return ""
    return "" if said.startswith(f"process {jax.process_index()} of") else said


def _begin_to_end() -> None:
    if jax.distributed.is_initialized() and several() and not _is_ending.is_set():
        _is_ending.set()
        _tell(f"{ENDING}{jax.process_index()}")


def _leave() -> None:
    """Say that nothing is left to do; the first process waits until the others have said so."""
    _tell(f"{LEFT}{jax.process_index()}")
    if not is_first():
        return
    time.sleep(SEEN)
    end = time.monotonic() + CLEANUP
    while time.monotonic() < end and _numbers(ENDING) - _numbers(LEFT):
        time.sleep(TICK)


def _numbers(keys: str) -> set[str]:
    """Of the processes with such a key."""
    try:
        return {key.rpartition("/")[2] for key, _ in client().key_value_dir_get(keys)}
    except (RuntimeError, AttributeError):
        return set()


def _tell(key: str, value: str = "yes") -> None:
    """Put a value into the store, unless the key has one, or the store is gone."""
    with contextlib.suppress(RuntimeError, AttributeError):
        client().key_value_set(key, value)

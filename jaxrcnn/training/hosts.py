"""Several processes that train one model, each with devices of its own, by `jax.distributed`.

All do the same things in the same order, since a program that runs on all devices waits for all of
them. The first process alone writes to the run's folder and talks to people. Whatever is exchanged
outside of compiled programs goes through the store of jax's coordinator, so that a process may
take its time before it meets the others.
"""

import itertools
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from jaxrcnn.config import ConfigError
from jaxrcnn.training.errors import PeerError

T = TypeVar("T")

AUTO = "auto"
"""In place of a coordinator: jax asks the cluster."""
CLUSTERS = "SLURM, Open MPI, GKE (or another Kubernetes) and Cloud TPU"
"""What jax finds the coordinator of by itself."""

PATIENCE = 24 * 3600
"""Seconds to wait for processes that are alive: one that is dead is noticed otherwise."""
CONNECT = 300
"""Seconds in which all processes have to be there."""
TICK = 0.25
"""Seconds between two looks at whether a process has failed."""
PART = 2**20
"""Bytes of a value in the store, which takes no larger ones than 4 MB."""
SEEN = 2.0
"""Seconds in which all have seen it; then the first process may leave, and the store with it."""
FAILED = "jaxrcnn/failed"

LOST = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "heartbeat", "Connection")
"""In jax's errors where another process is gone."""

_numbers = itertools.count()  # of the exchanges so far, the same in all processes
_sent: list[str] = []  # keys of values that are still in the store


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
    try:
        if coordinator == AUTO:
            jax.distributed.initialize(initialization_timeout=CONNECT)
        else:
            jax.distributed.initialize(
                coordinator, processes, process, initialization_timeout=CONNECT
            )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"--distributed auto found no cluster ({error}). jax knows {CLUSTERS}; elsewhere give "
            "--coordinator HOST:PORT --processes N --process I"
        ) from error
    except RuntimeError as error:
        where = "the cluster's coordinator" if coordinator == AUTO else coordinator
        raise PeerError(f"not all processes connected to {where} ({_first_line(error)})") from error
    if jax.process_index() > 0:  # the first one speaks for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
    threading.Thread(target=_watch, daemon=True, name="peers").start()


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process writes and speaks for all."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Wait until all processes are here.

    Raises:
        PeerError: one is gone.
    """
    if several():
        number = next(_numbers)
        try:
            client().wait_at_barrier(f"jaxrcnn/{number}/{name}", PATIENCE * 1000)
        except RuntimeError as error:
            raise lost(error) from error
        while _sent:  # what all have read by now
            client().key_value_delete(_sent.pop())


def from_first(make: Callable[[], T]) -> T:
    """What a function returns in the first process, which alone calls it.

    Raises:
        PeerError: that process is gone.
    """
    if not several():
        return make()
    key = f"jaxrcnn/{next(_numbers)}/value"
    if not is_first():
        return pickle.loads(_receive(key))
    value = make()
    _send(key, pickle.dumps(value))
    return value


def first_then_others(make: Callable[[], T]) -> T:
    """What a function returns, called in the first process before it is in the others."""
    if not is_first():
        barrier("first")
        return make()
    value = make()
    barrier("first")
    return value


def gather(value: T) -> list[T]:
    """The values of all processes, in the order of their numbers, in each of them.

    Raises:
        PeerError: a process is gone.
    """
    if not several():
        return [value]
    # Not by a program on the devices, which on CPUs would wait for no longer than half a minute.
    key = f"jaxrcnn/{next(_numbers)}/values"
    _send(f"{key}/{jax.process_index()}", pickle.dumps(value))
    values = [pickle.loads(_receive(f"{key}/{number}")) for number in range(jax.process_count())]
    barrier("gathered")
    return values


def _send(key: str, content: bytes) -> None:
    """Put bytes of any number into the store, until the next barrier."""
    parts = [content[start : start + PART] for start in range(0, len(content), PART)]
    for number, part in enumerate([str(len(parts)).encode(), *parts]):
        client().key_value_set_bytes(f"{key}/{number}", part)
        _sent.append(f"{key}/{number}")


def _receive(key: str) -> bytes:
    """What `_send` has put there, or another process will.

    Raises:
        PeerError: that process is gone.
    """

    def part(number: int) -> bytes:
        return client().blocking_key_value_get_bytes(f"{key}/{number}", PATIENCE * 1000)

    try:
        return b"".join(part(1 + number) for number in range(int(part(0))))
    except RuntimeError as error:
        raise lost(error) from error


def client() -> Any:
    """The connection to jax's coordinator, whose store holds what processes tell each other."""
    from jax._src import distributed  # nothing public leads there

    return distributed.global_state.client


def finish() -> None:
    """Leave the others in order, once all of them are done."""
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def fail(message: str) -> None:
    """Tell the others that this process ends, so that they do not wait for it.

    It should not wait for them either, and end by `os._exit`.
    """
    if not jax.distributed.is_initialized():
        return
    me = f"process {jax.process_index()} of {jax.process_count()} on {socket.gethostname()}"
    try:
        client().key_value_set(FAILED, f"{me} ended: {message}")
    except RuntimeError:
        return  # another one was first, or the coordinator is gone
    if is_first():
        time.sleep(SEEN)


def listen() -> None:
    """Give a process that is gone the time to have said why: this one then ends with that."""
    time.sleep(SEEN + 4 * TICK)


def lost(error: BaseException) -> PeerError:
    """The error for one of jax's that says another process is gone."""
    return PeerError(
        f"another process of this run has ended or does not answer ({_first_line(error)})"
    )


def is_lost(error: BaseException) -> bool:
    """Whether an error of jax's says that another process is gone."""
    return (
        jax.distributed.is_initialized()
        and isinstance(error, jax.errors.JaxRuntimeError)
        and any(word in str(error) for word in LOST)
    )


def _watch() -> None:
    """End this process when another one has said that it fails."""
    while jax.distributed.is_initialized():
        time.sleep(TICK)
        try:
            said = client().key_value_try_get(FAILED)
        except (RuntimeError, AttributeError):  # nothing was said, or we have left
            continue
        if not said.startswith(f"process {jax.process_index()} of"):
            print(f"error: {said}", file=sys.stderr, flush=True)
            if is_first():
                time.sleep(SEEN)
            os._exit(PeerError.exit_code)
        return


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__

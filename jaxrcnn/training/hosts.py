"""What several processes that train one model, each with devices of its own, tell each other.

All do the same things in the same order, since a program that runs on all devices waits for all of
them. The first process alone writes to the run's folder and prints messages. Whatever is exchanged
outside of compiled programs goes through the store of jax's coordinator, so that a process may
take its time before it meets the others.
"""

import contextlib
import itertools
import pickle
import socket
import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

import jax

from jaxrcnn.training.errors import PeerError
from jaxrcnn.training.reminders import reminding

T = TypeVar("T")

PATIENCE = 24 * 3600
"""Seconds to wait for processes that are alive: one that is dead is noticed otherwise."""
PART = 2**20
"""Bytes of a value in the store, which takes no larger ones than 4 MB."""

_numbers = itertools.count()  # of the exchanges so far, the same in all processes
_sent: list[str] = []  # keys of values that are still in the store


class _Raised(NamedTuple):
    """What a function raised in place of a value."""

    error: Exception


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process writes and prints for all."""
    return jax.process_index() == 0


def this_process() -> str:
    """What the others call this process."""
    return f"process {jax.process_index()} of {jax.process_count()} on {socket.gethostname()}"


def client() -> Any:
    """The connection to jax's coordinator, whose store holds what processes tell each other."""
    from jax._src import distributed  # nothing public leads there

    return distributed.global_state.client


def next_key(what: str) -> str:
    """A new key in the store; the same in all processes, which all ask for as many."""
    return f"jaxrcnn/{next(_numbers)}/{what}"


def barrier(doing: str, key: str = "") -> None:
    """Wait until all processes are here.

    Args:
        doing: what processes that have not arrived yet are doing, for messages.
        key: from `next_key`, if it was taken earlier.

    Raises:
        PeerError: one is gone.
    """
    if several():
        key = key or next_key("barrier")
        try:
            _send(f"{key}/{jax.process_index()}", b"")
            with _reminding(lambda: f"{_missing(key)} ({doing})"):
                client().wait_at_barrier(key, PATIENCE * 1000)
        except RuntimeError as error:
            raise lost(error) from error
        while _sent:  # what all have read by now
            client().key_value_delete(_sent.pop())


def from_first(make: Callable[[], T], doing: str = "preparing the next step") -> T:
    """What a function returns in the first process, which alone calls it.

    Args:
        make: the function.
        doing: what the others say that it is doing, if it takes long.

    Raises:
        PeerError: that process is gone, or its function failed unexpectedly.
        Exception: an expected error of the function, in all processes: one with an exit code.
    """
    if not several():
        return make()
    key = next_key("value")
    if not is_first():
        value = pickle.loads(_receive(key, 0, doing))
        if isinstance(value, _Raised):
            raise value.error
        return value
    try:
        value = make()
    except Exception as error:
        _send(key, pickle.dumps(_Raised(_for_others(error))))
        raise
    _send(key, pickle.dumps(value))
    return value


def first_then_others(make: Callable[[], T], doing: str = "reading the data") -> T:
    """What a function returns, called in the first process before it is in the others.

    It returns when all are done: what holds up one of them, such as a full disk, holds up all.

    Args:
        make: the function.
        doing: what they say of each other, if it takes long.

    Raises:
        PeerError, Exception: as `from_first`.
    """
    if not several():
        return make()
    made: list[T] = []
    from_first(lambda: made.append(make()), doing)
    value = made[0] if made else make()
    barrier(doing)
    return value


def gather(value: T) -> list[T]:
    """The values of all processes, in the order of their numbers, in each of them.

    Raises:
        PeerError: a process is gone.
    """
    if not several():
        return [value]
    # Not by a program on the devices, which on CPUs would wait for no longer than half a minute.
    key = next_key("values")
    _send(f"{key}/{jax.process_index()}", pickle.dumps(value))
    numbers = range(jax.process_count())
    values = [pickle.loads(_receive(f"{key}/{n}", n, "doing its part")) for n in numbers]
    barrier("exchanging results")
    return values


def pool() -> Callable[[Collection[str]], Collection[str]]:
    """A function that takes all lines of this process so far, and returns those of all processes.

    Each line counts once. The function does not wait for other processes: it returns what they have
    added so far, so that at least the last process to add a line gets all of them. All processes
    must create the same number of pools.

    Raises:
        PeerError: (from the function) a process is gone.
    """
    if not several():
        return lambda lines: lines
    key, told = next_key("pool"), set[str]()

    def share(lines: Collection[str]) -> Collection[str]:
        new = [line for line in lines if line not in told]
        try:
            if new:
                number = f"{jax.process_index()}/{len(told)}"
                client().key_value_set_bytes(f"{key}/{number}", pickle.dumps(new))
                told.update(new)
            parts = client().key_value_dir_get_bytes(f"{key}/")
        except RuntimeError as error:
            raise lost(error) from error
        return dict.fromkeys(line for _, part in parts for line in pickle.loads(part))

    return share


def lost(error: BaseException) -> PeerError:
    """The error for one of jax's that says another process is gone."""
    said = str(error).splitlines() or [type(error).__name__]
    return PeerError(f"another process of this run has ended or does not answer ({said[0][:200]})")


def _for_others(error: Exception) -> Exception:
    """An error of this process as the others raise it."""
    if hasattr(error, "exit_code"):
        with contextlib.suppress(Exception):  # one of a fork may need more than its message
            if type(pickle.loads(pickle.dumps(error))) is type(error):
                return error
    return PeerError(
        f"{this_process()} ended: {' '.join(f'{type(error).__name__}: {error}'.split())}"
    )


def _send(key: str, content: bytes) -> None:
    """Put bytes of any number into the store, until the next barrier."""
    parts = [content[start : start + PART] for start in range(0, len(content), PART)]
    for number, part in enumerate([str(len(parts)).encode(), *parts]):
        client().key_value_set_bytes(f"{key}/{number}", part)
        _sent.append(f"{key}/{number}")


def _receive(key: str, sender: int, doing: str) -> bytes:
    """What `_send` has put there, or another process will.

    Args:
        key: the same as there.
        sender: number of the other process.
        doing: what it is doing meanwhile, for a person.

    Raises:
        PeerError: that process is gone.
    """

    def part(number: int) -> bytes:
        return client().blocking_key_value_get_bytes(f"{key}/{number}", PATIENCE * 1000)

    try:
        with _reminding(lambda: f"process {sender} ({doing})"):
            return b"".join(part(1 + number) for number in range(int(part(0))))
    except RuntimeError as error:
        raise lost(error) from error


def _missing(key: str) -> str:
    """The processes that are not at a barrier yet."""
    with contextlib.suppress(RuntimeError, AttributeError):
        names = [name for name, _ in client().key_value_dir_get_bytes(f"{key}/")]
        there = {int(name.split("/")[-2]) for name in names}
        missing = sorted(set(range(jax.process_count())) - there)
        return " and ".join(f"process {number}" for number in missing)
    return "the others"


def _reminding(whom: Callable[[], str]) -> contextlib.AbstractContextManager[None]:
    """Say now and then, if it takes long, for which process this one waits."""
    return reminding(
        lambda: f"note: {this_process()} is waiting for {whom()}",
        lambda line: print(line, file=sys.stderr, flush=True),
    )

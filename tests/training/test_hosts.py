"""One of two processes after the other; both at once are in tests/test_several_hosts.py."""

import socket
import sys
import threading

import pytest

from jaxrcnn.training import hosts, reminders
from jaxrcnn.training.errors import CheckpointError, PeerError
from jaxrcnn.training.hosts import barrier, first_then_others, from_first, gather, pool
from tests.store import Played


@pytest.fixture
def played(monkeypatch):
    return Played(monkeypatch)


def never():
    raise AssertionError("the first process alone does it")


def fail(error):
    raise error


def test_the_first_process_decides_for_all(played):
    large = bytes(range(256)) * 10_000  # more than the store takes at once
    assert from_first(lambda: large) == large
    played.become(1)
    assert from_first(never) == large


def test_an_expected_error_of_the_first_process_is_that_of_all(played):
    for number, work in ((0, lambda: fail(CheckpointError("the disk is full"))), (1, never)):
        played.become(number)
        with pytest.raises(CheckpointError, match=r"^the disk is full$"):
            from_first(work)


class Own(RuntimeError):
    """An error of a fork, which cannot be sent."""

    exit_code = 3

    def __init__(self, step, message):
        super().__init__(message)


@pytest.mark.parametrize("error", [ZeroDivisionError("a\nb"), Own(1, "a b")], ids=lambda x: str(x))
def test_another_error_of_the_first_process_is_said_by_the_others(played, error):
    with pytest.raises(type(error)):
        from_first(lambda: fail(error))
    played.become(1)
    said = rf"^process 0 of 2 on {socket.gethostname()} ended: {type(error).__name__}: a b$"
    with pytest.raises(PeerError, match=said):
        from_first(never)


def test_the_others_follow_the_first_process(played):
    assert first_then_others(lambda: "one") == "one"
    played.become(1)
    assert first_then_others(lambda: "other") == "other"
    played.store.values.clear()
    played.become(0)
    with pytest.raises(CheckpointError):
        first_then_others(lambda: fail(CheckpointError("")))
    played.become(1)
    with pytest.raises(CheckpointError):
        first_then_others(never)


def test_values_are_gathered_in_the_order_of_the_processes(played):
    played.store.values |= {"jaxrcnn/0/values/1/0": b"1", "jaxrcnn/0/values/1/1": b"I7\n."}
    assert gather("own") == ["own", 7]


def test_a_pool_has_each_line_of_all_processes_once_and_waits_for_none(played):
    own, of_another_phase = pool(), pool()
    assert list(own(["a", "b"])) == ["a", "b"]
    played.become(1)
    others = pool()
    assert set(others(["b"])) == {"a", "b"}  # both have read this image, an epoch apart
    assert set(others(["b", "c"])) == {"a", "b", "c"}
    played.become(0)
    assert set(own(["a", "b"])) == {"a", "b", "c"}
    assert set(of_another_phase(["b"])) == {"b"}


def test_a_process_that_is_alone_has_its_own_lines():
    assert pool()(["a"]) == ["a"]


class Hung:
    """A call of the store that lasts until the other process was named."""

    def __init__(self, monkeypatch, store, name):
        self._call, self._printed = getattr(store, name), threading.Event()
        monkeypatch.setattr(store, name, self)
        monkeypatch.setattr(reminders.Reminder.__init__, "__defaults__", ((0.01,),))
        monkeypatch.setattr(hosts, "print", self._print, raising=False)
        self.lines = []

    def _print(self, line, file, flush):
        assert file is sys.stderr
        assert flush
        self.lines.append(line)
        self._printed.set()

    def __call__(self, *arguments):
        assert self._printed.wait(30)
        return self._call(*arguments)


def test_who_waits_for_whom_is_said_after_a_while(played, monkeypatch):
    from_first(lambda: 5, "writing a checkpoint")
    played.become(1)
    hung = Hung(monkeypatch, played.store, "blocking_key_value_get_bytes")
    assert from_first(never, "writing a checkpoint") == 5
    where = f"process 1 of 2 on {socket.gethostname()}"
    assert hung.lines[0] == (f"note: {where} is waiting for process 0 (writing a checkpoint) … 0 s")


def test_who_is_not_at_a_barrier_is_said_after_a_while(played, monkeypatch):
    hung = Hung(monkeypatch, played.store, "wait_at_barrier")
    barrier("saving or evaluating")
    where = f"process 0 of 2 on {socket.gethostname()}"
    assert hung.lines[0] == (f"note: {where} is waiting for process 1 (saving or evaluating) … 0 s")

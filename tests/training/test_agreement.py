"""One process beside another, which is played by what it would write to the store."""

import signal
import threading
import time

import jax
import pytest

from jaxrcnn.training import agreement
from jaxrcnn.training.agreement import SharedInterruption
from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.interruption import Stop
from tests.store import Store

PATIENCE = 60.0  # seconds, for a machine that is busy


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(agreement, "client", lambda: store)
    monkeypatch.setattr(agreement, "TICK", 0.01)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    return store


def checks_until_stop(interruption):
    """How many checks it takes, and the number of the signal."""
    for number in range(1, 100):
        try:
            interruption.check()
        except Stop as stop:
            return number, stop.number
    raise AssertionError("it never stops")


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("others", [1, 3, 7])
def test_all_stop_at_the_check_after_the_last_that_one_of_them_has_done(others, store):
    with SharedInterruption(0) as interruption:
        for _ in range(3):
            interruption.check()
        asked = interruption._asked_at
        store.values[asked] = "15"  # a signal to the other process, which says how far it is
        until(lambda: f"{asked}/at/0" in store.values)
        assert store.values[f"{asked}/at/0"] == "3 0"
        store.values[f"{asked}/at/1"] = f"{others} 0"
        assert checks_until_stop(interruption) == (max(3, others) + 1 - 3, 15)


def test_a_signal_to_this_process_is_told_to_the_others(store):
    with SharedInterruption(0) as interruption:
        asked = interruption._asked_at
        store.values[f"{asked}/at/1"] = "0 0"
        interruption.number = 2
        until(lambda: interruption._last_check == 1)
        assert store.values[asked] == "2"
        assert checks_until_stop(interruption) == (1, 2)


def test_nothing_is_left_while_others_wait(store):
    with SharedInterruption(0) as interruption:
        with interruption.leavable():
            interruption.number = 15
            until(lambda: store.values.get(interruption._asked_at) == "15")
        store.values[f"{interruption._asked_at}/at/1"] = "0 0"


def signal_to_the_other(store, interruption, where):
    """A signal comes to the other process, which says how often it has checked and where it is."""
    store.values[interruption._asked_at] = "15"
    until(lambda: f"{interruption._asked_at}/at/0" in store.values)
    store.values[f"{interruption._asked_at}/at/1"] = where
    return store.values[f"{interruption._asked_at}/at/0"]


def ends(work, *arguments):
    """See that work which is given a SharedInterruption ends by the signal."""
    with pytest.raises(Interrupted, match="SIGTERM: nothing"), SharedInterruption(0) as shared:
        work(shared, *arguments)


# The other is compiling the same program, or will not begin to.
@pytest.mark.parametrize("where", ["2 1", "1 0", "0 1"])
def test_all_leave_what_none_of_them_has_done(where, store):
    def work(shared):
        shared.check()
        with shared.leavable_together():
            assert signal_to_the_other(store, shared, where) == "2 1"
            time.sleep(PATIENCE)
            raise AssertionError

    ends(work)


@pytest.mark.parametrize("where", ["2 0", "3 0", "3 1"])
def test_nothing_is_left_that_another_process_has_done(where, store):
    with SharedInterruption(0) as shared:
        shared.check()
        with shared.leavable_together():
            assert signal_to_the_other(store, shared, where) == "2 1"
            until(lambda: shared._last_check is not None)
        assert checks_until_stop(shared) == (2 if where == "3 0" else 1, 15)


def test_what_the_other_process_leaves_is_not_begun(store):
    def work(shared):
        shared.check()
        assert signal_to_the_other(store, shared, "3 1") == "1 0"
        shared.check()  # after the last step before it
        with shared.leavable_together():
            raise AssertionError

    ends(work)


def test_who_is_done_waits_until_the_others_have_said_where_they_are(store):
    def work(shared):
        with shared.leavable_together():
            store.values[shared._asked_at] = "15"
            until(lambda: f"{shared._asked_at}/at/0" in store.values)
            other = f"{shared._asked_at}/at/1", "1 1"
            threading.Timer(0.1, store.values.__setitem__, other).start()
        raise AssertionError

    ends(work)


def test_an_interruption_ends_with_its_run_and_the_next_run_knows_nothing_of_it(store):
    before = signal.getsignal(signal.SIGTERM)
    with SharedInterruption(0) as interruption:
        store.values[interruption._asked_at] = "15"
        until(lambda: interruption._is_agreeing)  # and the other process never answers
    assert not interruption._thread.is_alive()
    assert signal.getsignal(signal.SIGTERM) == before
    asked = store.asked
    with SharedInterruption(0) as interruption:
        until(lambda: store.asked > asked + 3)
        interruption.check()
        assert interruption.number is None


def test_the_others_hear_of_a_process_that_is_given_up(store, monkeypatch):
    told, ends = [], []
    monkeypatch.setattr(agreement, "tell_at_once", told.append)
    with SharedInterruption(0) as interruption:
        interruption._end = lambda *words: ends.append((*words, list(told)))
        interruption._give_up(15, "not finished 30 s after SIGTERM")
    line = "not finished 30 s after SIGTERM: ended without saving"
    assert ends == [(143, line, ["not finished 30 s after SIGTERM, without saving"])]

"""One process beside another, which is played by what it would write to the store."""

import signal
import time

import jax
import pytest

from jaxrcnn.training import agreement
from jaxrcnn.training.agreement import SharedInterruption
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
        until(lambda: f"{asked}/checks/0" in store.values)
        assert store.values[f"{asked}/checks/0"] == "3"
        store.values[f"{asked}/checks/1"] = str(others)
        assert checks_until_stop(interruption) == (max(3, others) + 1 - 3, 15)


def test_a_signal_to_this_process_is_told_to_the_others(store):
    with SharedInterruption(0) as interruption:
        asked = interruption._asked_at
        store.values[f"{asked}/checks/1"] = "0"
        interruption.number = 2
        until(lambda: interruption._last_check == 1)
        assert store.values[asked] == "2"
        assert checks_until_stop(interruption) == (1, 2)


def test_nothing_is_left_while_others_wait(store):
    with SharedInterruption(0) as interruption:
        with interruption.leavable():
            interruption.number = 15
            until(lambda: store.values.get(interruption._asked_at) == "15")
        store.values[f"{interruption._asked_at}/checks/1"] = "0"


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

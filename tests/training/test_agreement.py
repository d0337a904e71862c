"""One process beside another, which is played by what it would write to the store."""

import time

import jax
import pytest

from jaxrcnn.training import agreement
from jaxrcnn.training.agreement import ASKED, SharedInterruption
from jaxrcnn.training.interruption import Stop


class Store:
    """The store of jax's coordinator."""

    def __init__(self, **values):
        self.values = values

    def key_value_set(self, key, value):
        if key in self.values:
            raise RuntimeError("ALREADY_EXISTS")
        self.values[key] = value

    def key_value_try_get(self, key):
        if key not in self.values:
            raise RuntimeError("NOT_FOUND")
        return self.values[key]

    def blocking_key_value_get(self, key, _):
        while key not in self.values:
            time.sleep(0.01)
        return self.values[key]


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(agreement, "client", lambda: store)
    monkeypatch.setattr(agreement, "TICK", 0.01)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    return store


def checks_until_stop(interruption):
    for number in range(1, 100):
        try:
            interruption.check()
        except Stop as stop:
            return number, stop.number
    raise AssertionError("it never stops")


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


@pytest.mark.parametrize("others", [1, 3, 7])
def test_all_stop_at_the_check_after_the_last_that_one_of_them_has_done(others, store):
    interruption = SharedInterruption(0)
    for _ in range(3):
        interruption.check()
    store.values[ASKED] = "15"  # a signal to the other process, which says how far it is
    until(lambda: f"{ASKED}/0" in store.values)
    assert store.values[f"{ASKED}/0"] == "3"
    store.values[f"{ASKED}/1"] = str(others)
    assert checks_until_stop(interruption) == (max(3, others) + 1 - 3, 15)


def test_a_signal_to_this_process_is_told_to_the_others(store):
    interruption = SharedInterruption(0)
    store.values[f"{ASKED}/1"] = "0"
    interruption.number = 2
    until(lambda: interruption._last_check == 1)
    assert store.values[ASKED] == "2"
    assert checks_until_stop(interruption) == (1, 2)


def test_nothing_is_left_while_others_wait(store):
    interruption = SharedInterruption(0)
    with interruption.leavable():
        interruption.number = 15
        until(lambda: store.values.get(ASKED) == "15")
    store.values[f"{ASKED}/1"] = "0"

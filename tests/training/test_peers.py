"""How one of two processes ends; the other is played by what it would write to the store."""

import socket
import threading
import time

import jax
import pytest

from jaxrcnn.training import peers
from jaxrcnn.training.errors import PeerError
from jaxrcnn.training.peers import ENDING, FAILED, LEFT
from tests.store import Played

PATIENCE = 60.0  # seconds, for a machine that is busy
OTHER = "process 1 of 2 on host ended: it was tired"


@pytest.fixture
def played(monkeypatch):
    played = Played(monkeypatch)
    monkeypatch.setattr(peers, "client", lambda: played.store)
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(peers, "_is_ending", threading.Event())
    for name, seconds in (("TICK", 0.01), ("OWN", 0.05), ("SEEN", 0.1)):
        monkeypatch.setattr(peers, name, seconds)
    return played


@pytest.fixture
def exits(monkeypatch):
    """The exit codes with which the process would end."""
    codes = []
    monkeypatch.setattr(peers.os, "_exit", codes.append)
    return codes


def watched():
    thread = threading.Thread(target=peers._watch, daemon=True)
    thread.start()
    return thread


def test_a_process_that_waits_for_one_that_fails_ends_with_its_words(played, exits, capsys):
    thread = watched()
    played.store.values[FAILED] = OTHER
    thread.join(PATIENCE)
    assert exits == [5]
    assert capsys.readouterr().err == f"error: {OTHER}\n"
    assert f"{LEFT}0" in played.store.values


def test_a_process_that_fails_itself_ends_by_itself(played, exits, capsys):
    with pytest.raises(ZeroDivisionError), peers.own_errors():
        raise ZeroDivisionError
    assert f"{ENDING}0" in played.store.values
    played.store.values[FAILED] = OTHER
    thread = watched()
    thread.join(0.5)
    assert thread.is_alive()
    assert exits == []
    peers.fail("its own error")
    assert played.store.values[FAILED] == OTHER  # which was first
    assert capsys.readouterr().err == ""


def test_a_process_that_cannot_end_by_itself_is_ended(played, exits, monkeypatch):
    monkeypatch.setattr(peers, "CLEANUP", 0.1)
    peers._is_ending.set()
    played.store.values[FAILED] = OTHER
    watched().join(PATIENCE)
    assert exits == [5]


def test_the_first_process_leaves_when_the_others_have_cleaned_up(played):
    played.store.values[f"{ENDING}1"] = "yes"
    thread = threading.Thread(target=peers.fail, args=["its own error"], daemon=True)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    said = f"process 0 of 2 on {socket.gethostname()} ended: its own error"
    assert played.store.values[FAILED] == said
    played.store.values[f"{LEFT}1"] = "yes"
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_what_is_lost_is_explained_by_what_the_other_said(played):
    lost = jax.errors.JaxRuntimeError("Gloo all-reduce failed: Connection closed by peer")
    assert peers.is_lost(lost)
    assert not peers.is_lost(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED"))
    assert not peers.is_lost(RuntimeError("Connection"))
    said = "another process of this run has ended or does not answer (Gloo all-reduce failed: Con"
    assert str(peers.why_lost(lost)).startswith(said)
    own = PeerError("process 1 of 2 on host ended: before")
    assert peers.why_lost(own) is own
    played.store.values[FAILED] = OTHER
    assert str(peers.why_lost(lost)) == OTHER


@pytest.mark.parametrize("number", [0, 1])
def test_the_others_hear_of_a_process_that_ends_at_once(played, number):
    played.become(number)
    peers.tell_at_once("second SIGINT, without saving")
    said = f"process {number} of 2 on {socket.gethostname()} ended: second SIGINT, without saving"
    assert played.store.values == {FAILED: said}


def test_a_store_that_does_not_answer_holds_up_nobody_who_ends_at_once(played, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(played.store, "key_value_set", lambda *_: release.wait(PATIENCE))
    played.become(1)
    began = time.monotonic()
    peers.tell_at_once("second SIGINT, without saving")
    assert time.monotonic() - began < PATIENCE / 2
    release.set()

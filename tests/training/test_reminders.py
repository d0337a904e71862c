import threading

import pytest

from jaxrcnn.training import reminders
from jaxrcnn.training.reminders import Reminder, reminding

PATIENCE = 30


def test_a_reminder_comes_after_each_time_and_then_every_so_often(monkeypatch):
    monkeypatch.setattr(reminders, "EVERY", 0.2)
    calls = threading.Semaphore(0)
    reminder = Reminder(calls.release, after=(0.01, 0.1))
    for _ in range(5):
        assert calls.acquire(timeout=PATIENCE)
    reminder.cancel()


def test_a_cancelled_reminder_ends(monkeypatch):
    threads = set(threading.enumerate())
    reminder = Reminder(pytest.fail)
    (thread,) = set(threading.enumerate()) - threads
    reminder.cancel()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_what_is_not_over_is_said_with_its_time(monkeypatch):
    monkeypatch.setattr(reminders, "EVERY", 0.2)
    monkeypatch.setattr(reminders.Reminder.__init__, "__defaults__", ((0.01,),))
    said, lines = threading.Event(), []

    def say(line):
        lines.append(line)
        said.set()

    with reminding(lambda: "still writing", say):
        assert said.wait(PATIENCE)
    assert lines[0] == "still writing … 0 s"

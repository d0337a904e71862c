import time

import pytest

from jaxrcnn.training.activity import Activity, format_duration


@pytest.fixture
def clock(monkeypatch):
    """The time, as a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_its_clock_runs(clock):
    activity = Activity("compiling the training step", 0)
    assert str(activity) == "compiling the training step … 0 s"
    clock[0] += 83
    assert activity.seconds == 83
    assert str(activity) == "compiling the training step … 1 min 23 s"


def test_it_counts_images(clock):
    activity = Activity("evaluating", 64)
    clock[0] += 3
    assert str(activity) == "evaluating: 0 of 64 images … 3 s"
    activity.advance(8)
    activity.advance(5)
    assert activity.done == 13
    assert str(activity) == "evaluating: 13 of 64 images … 3 s"


def test_what_another_took_is_left_out(clock):
    activity = Activity("evaluating", 64)
    clock[0] += 30
    activity.leave_out(28)
    assert activity.seconds == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.9, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (183600, "2 d 03 h"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert format_duration(seconds) == text

"""What is said of a run, and which time counts; how it looks is in test_display.py."""

import time
from unittest import mock

import pytest

from jaxrcnn.training import progress as module
from jaxrcnn.training.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """The time that Progress sees, as a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def display(monkeypatch):
    """In place of a terminal: what it is asked to show."""
    display = mock.Mock()
    monkeypatch.setattr(module, "open_display", lambda total_steps, leave: display)
    return display


def shown(display):
    """The messages and logs, in order."""
    return [call.args for call in display.mock_calls if call[0] in ("message", "log")]


def test_an_activity_is_shown_while_it_lasts_and_leaves_a_line(display, clock):
    progress = Progress(60)
    with progress.activity("compiling the training step", "compiled the training step") as activity:
        assert [call[0] for call in display.mock_calls] == ["begin"]
        assert display.begin.call_args.args == (activity,)
        assert str(activity) == "compiling the training step … 0 s"
        clock[0] += 23
    assert [call[0] for call in display.mock_calls] == ["begin", "end", "message"]
    assert shown(display) == [("compiled the training step in 23 s",)]


@pytest.mark.parametrize(("done", "seconds"), [("restored the checkpoint", 0.9), ("", 100)])
def test_what_is_quick_or_has_no_such_line_leaves_none(display, clock, done, seconds):
    with Progress(60).activity("restoring the checkpoint", done):
        clock[0] += seconds
    assert shown(display) == []


def test_an_activity_that_fails_is_over_and_leaves_no_line(display, clock):
    def read():
        with Progress(60).activity("reading", "read"):
            clock[0] += 5
            raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        read()
    assert [call[0] for call in display.mock_calls] == ["begin", "end"]


def test_the_time_of_an_inner_activity_is_not_the_outers(display, clock):
    progress = Progress(60)
    with progress.activity("evaluating", "evaluated 64 images", 64):
        clock[0] += 2
        with progress.activity("compiling the evaluation", "compiled the evaluation"):
            clock[0] += 3
            with progress.activity("innermost"):
                clock[0] += 7
            clock[0] += 10
        clock[0] += 4
    assert shown(display) == [("compiled the evaluation in 13 s",), ("evaluated 64 images in 6 s",)]


def test_the_clock_stands_still_during_activities(display, clock):
    progress = Progress(60)
    began = progress.clock()
    clock[0] += 5
    with progress.activity("evaluating"):
        clock[0] += 100
        with progress.activity("compiling the evaluation"):
            clock[0] += 1000
    clock[0] += 2
    assert progress.clock() - began == 7


def test_a_program_is_compiled_and_announced_only_if_it_is_not_ready(display, clock):
    progress, program = Progress(60), mock.Mock()
    program.is_ready.return_value = False
    program.compile.side_effect = lambda *_, **__: clock.__setitem__(0, clock[0] + 31)
    progress.compile("the training step", program, "state", "batch", stage="rpn")
    program.compile.assert_called_once_with("state", "batch", stage="rpn")
    program.is_ready.assert_called_once_with("state", "batch", stage="rpn")
    assert shown(display) == [("compiled the training step in 31 s",)]
    program.is_ready.return_value = True
    progress.compile("the training step", program, "state", "batch", stage="rpn")
    assert program.compile.call_count == display.begin.call_count == 1


def test_a_whole_beginning(display, clock):
    """The time left counts from the first step on, and never the compiler's time."""
    progress = Progress(1000)
    with progress.activity("compiling the training step", "compiled the training step"):
        clock[0] += 500
    progress.follow(1, "the first loss")
    clock[0] += 9  # the first step itself
    progress.log(1, 2.7464)
    for step in (20, 40):
        clock[0] += 20
        with progress.activity("compiling for portrait images"):
            clock[0] += 100
        progress.log(step, 1.0, 8.0)
    display.follow.assert_called_once_with(1, "the first loss")
    assert shown(display) == [
        ("compiled the training step in 8 min 20 s",),
        (1, "loss 2.746", "", ""),
        (20, "loss 1.000", "8.0 images/s", "17 min 12 s left"),  # 980 steps of 20 s / 19
        (40, "loss 1.000", "8.0 images/s", "16 min 25 s left"),  # 960 steps of 40 s / 39
    ]


def test_a_run_that_goes_on_counts_from_its_own_first_step(display, clock):
    progress = Progress(1000)
    progress.log(576, float("nan"))
    clock[0] += 24
    progress.log(600, 1.0, 2000.0)
    assert shown(display) == [
        (576, "loss nan", "", ""),
        (600, "loss 1.000", "2000.0 images/s", "6 min 40 s left"),
    ]


def test_the_time_left_follows_the_last_steps(display, clock):
    progress = Progress(1000)
    for step in range(10, 210, 10):
        clock[0] += 50 if step <= 100 else 10
        progress.log(step, 1.0, 1.0)
    assert shown(display)[-1][-1] == "13 min 20 s left"  # 800 steps of 1 s


def test_at_the_end_no_time_is_left(display, clock):
    progress = Progress(30)
    for step in (10, 20, 30):
        clock[0] += 10
        progress.log(step, 1.0, 1.0)
    assert [words[-1] for words in shown(display)] == ["", "10 s left", ""]


def test_it_ends_with_the_display(display):
    with Progress(60) as progress:
        progress.message("a [line]")
    assert shown(display) == [("a [line]",)]
    assert display.mock_calls[-1] == mock.call.close()

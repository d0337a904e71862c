import contextlib
import io
import os
import re
import sys
import time

import pytest
import rich.console

from jaxrcnn.training import display as module
from jaxrcnn.training.activity import Activity
from jaxrcnn.training.display import Lines, Terminal, open_display


class Reminders:
    """In place of `Reminder`: those that are not cancelled, to be let off by hand."""

    def __init__(self, monkeypatch):
        self.running = []
        reminders = self

        class Reminder:
            def __init__(self, remind, after):
                assert after == (10, 60, 600)
                self.remind = remind
                reminders.running.append(self)

            def cancel(self):
                reminders.running.remove(self)

        monkeypatch.setattr(module, "Reminder", Reminder)


@pytest.fixture
def reminders(monkeypatch):
    return Reminders(monkeypatch)


def test_without_a_terminal_each_log_is_a_plain_line(capsys):
    lines = Lines(1000)
    lines.follow(1, None)
    lines.log(1, "loss 2.746", "", "")
    lines.message("checkpoint 200 [kept]")
    lines.log(20, "loss 1.234", "12.3 images/s", "2 min 40 s left")
    lines.close()
    assert capsys.readouterr().out.splitlines() == [
        "step 1/1000  loss 2.746",
        "checkpoint 200 [kept]",
        "step 20/1000  loss 1.234  12.3 images/s  2 min 40 s left",
    ]


def test_without_a_terminal_an_activity_is_announced_only_if_it_takes_long(capsys, reminders):
    lines = Lines(1000)
    lines.begin(Activity("restoring the checkpoint", 0))
    lines.end()
    assert reminders.running == []
    lines.begin(Activity("evaluating", 64))
    lines.begin(Activity("compiling the evaluation", 0))
    for reminder in list(reminders.running):
        reminder.remind()  # one line says enough
    lines.end()
    lines.end()
    assert reminders.running == []
    assert capsys.readouterr().out == "compiling the evaluation …\n"


def test_without_a_terminal_an_activity_that_is_not_over_is_said_again(
    capsys, reminders, monkeypatch
):
    lines, outer = Lines(1000), Activity("evaluating", 64)
    lines.begin(outer)
    lines.begin(Activity("compiling the evaluation", 0))
    first, second = reminders.running
    now = time.monotonic()
    for seconds in (10, 60, 600):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: now + seconds)
        first.remind()
        second.remind()
    lines.end()
    outer.advance(16)
    first.remind()
    assert capsys.readouterr().out.splitlines() == [
        "compiling the evaluation …",
        "still compiling the evaluation … 1 min 00 s",
        "still compiling the evaluation … 10 min 00 s",
        "still evaluating: 16 of 64 images … 10 min 00 s",
    ]
    lines.end()


class Console(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Makes stdout a terminal of so many columns."""

    def make(columns, kind="xterm"):
        for name, value in {"COLUMNS": str(columns), "LINES": "24", "TERM": kind}.items():
            monkeypatch.setenv(name, value)
        terminal = Console()
        monkeypatch.setattr(sys, "stdout", terminal)
        return terminal

    return make


def plain_lines(drawn):
    """What a terminal was sent, without escape sequences, by line."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn).replace("\r", "\n").splitlines()


class Loss:
    """A step's loss, whose step is done when a test says so."""

    done = False

    def is_ready(self):
        return self.done


def now(display):
    """The live lines, drawn once more."""
    display._live.refresh()
    console = rich.console.Console(file=io.StringIO())
    console.print(display._live.get_renderable())
    return [line.rstrip() for line in plain_lines(console.file.getvalue()) if line.strip()]


def test_in_a_terminal_an_activity_is_a_line_with_a_clock(open_terminal, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    open_terminal(100)
    display = Terminal(60)
    activity = Activity("evaluating", 64)
    display.begin(activity)
    assert now(display) == ["evaluating: 0 of 64 images … 0 s"]
    display.begin(Activity("compiling the evaluation", 0))
    assert now(display) == ["compiling the evaluation … 0 s"]
    display.end()
    activity.advance(8)
    assert now(display) == ["evaluating: 8 of 64 images … 0 s"]
    display.end()


def test_in_between_others_may_have_live_lines(open_terminal):
    open_terminal(100)
    display = Terminal(60)
    for _ in range(2):
        display.begin(Activity("initialising the parameters", 0))
        assert display._console._live_stack
        display.end()
        assert not display._console._live_stack


def test_the_bar_appears_with_the_first_step_and_says_that_it_runs(open_terminal):
    open_terminal(100)
    display = Terminal(1150)
    display.begin(Activity("compiling the training step", 0))
    assert len(now(display)) == 1
    display.end()
    losses = [Loss(), Loss(), Loss()]
    display.follow(576, losses[0])
    (bar,) = now(display)
    assert bar.endswith("575/1150 step 576 is running")
    losses[0].done = True
    display.log(576, "loss 2.746", "", "")
    (bar,) = now(display)
    assert bar.endswith("576/1150 loss 2.746")
    display.follow(577, losses[1])
    display.follow(578, losses[2])
    assert "576/1150" in now(display)[0]
    losses[1].done = True
    assert "577/1150 loss 2.746" in now(display)[0]
    display.begin(Activity("compiling for portrait images", 0))
    bar, line = now(display)
    assert "577/1150" in bar
    assert line == "compiling for portrait images … 0 s"
    display.end()
    assert len(now(display)) == 1
    display.close()


@pytest.mark.parametrize("columns", [80, 120])
def test_in_a_terminal_the_bar_fits_on_one_line(open_terminal, columns):
    terminal = open_terminal(columns)
    display = Terminal(90000)
    display.log(45100, "loss 12.346", "123.4 images/s", "12 h 28 min left")
    display.message("[kept] " + "x" * 200)
    display.close()
    drawn = terminal.getvalue()
    for text in ("45100/90000", "loss 12.346", "123.4 images/s", "12 h 28 min left"):
        assert text in drawn, text
    assert "[kept] " + "x" * 200 in drawn
    bars = [line for line in plain_lines(drawn) if "images/s" in line]
    assert bars
    assert all(len(line) <= columns for line in bars)
    assert all(line.startswith("training ━") and "left" in line for line in bars)


def test_in_a_narrow_terminal_lines_are_cut_not_wrapped(open_terminal):
    terminal = open_terminal(45)
    display = Terminal(90000)
    display.log(45100, "loss 12.346", "123.4 images/s", "12 h 28 min left")
    display.begin(Activity("compiling the training step for portrait images", 0))
    bar, line = now(display)
    assert "…" in bar
    assert line == "compiling the training step for portrait ima…"
    display.end()
    display.close()
    lines = [line for line in plain_lines(terminal.getvalue()) if line.strip()]
    assert all(len(line) <= 45 for line in lines), lines


def test_only_the_bar_stays_behind(open_terminal):
    terminal = open_terminal(100)
    display = Terminal(60)
    display.begin(Activity("initialising the parameters", 0))
    now(display)
    display.end()
    assert re.search(r"parameters … 0 s\S*\r\x1b\[2K\S*\s*$", terminal.getvalue())  # it is cleared
    display.log(60, "loss 1.234", "", "")
    display.close()
    assert plain_lines(terminal.getvalue())[-1].rstrip().endswith("60/60 loss 1.234")


@pytest.mark.parametrize("kind", ["dumb", None])
def test_only_a_terminal_that_can_redraw_gets_live_lines(open_terminal, monkeypatch, kind):
    open_terminal(80, kind or "xterm")
    if kind is None:
        assert isinstance(open_display(10), Terminal)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(open_display(10), Lines)


def test_a_reader_that_leaves_is_reported_once_and_later_lines_go_nowhere():
    reader, writer = os.pipe()
    os.close(reader)
    left = []
    with os.fdopen(writer, "w") as closed, contextlib.redirect_stdout(closed):
        lines = Lines(10, lambda: left.append("left"))
        for text in ("a", "b"):
            lines.message(text)
    assert left == ["left"]

import io
import json
import re
import sys

import numpy as np
import pytest

from jaxrcnn.training import metrics
from jaxrcnn.training.metrics import MetricsWriter, Progress, format_duration


def strict_rows(path):
    """Lines as JSON without the NaN and Infinity that Python's reader would take."""

    def refuse(constant):
        raise AssertionError(constant)

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_each_write_is_one_line_of_json_at_once(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"
    with MetricsWriter(tmp_path / "new", 0) as writer:
        writer.write(20, {"loss": np.float32(0.5), "learning_rate": 0.01})
        assert strict_rows(path) == [{"step": 20, "loss": 0.5, "learning_rate": 0.01}]
        writer.write(np.int32(40), {"eval/AP": np.array(0.25)})
        assert strict_rows(path)[1:] == [{"step": 40, "eval/AP": 0.25}]
    assert MetricsWriter.read(path) == strict_rows(path)


def test_values_that_are_not_finite_are_null(tmp_path):
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write(1, {"a": float("nan"), "b": float("inf"), "c": -np.inf, "d": 1.0})
    assert strict_rows(tmp_path / "metrics.jsonl") == [
        {"step": 1, "a": None, "b": None, "c": None, "d": 1.0}
    ]


def test_resume_drops_later_steps_and_goes_on(tmp_path):
    with MetricsWriter(tmp_path, 0) as writer:
        for step in (10, 20, 30, 40):
            writer.write(step, {"loss": step})
    with MetricsWriter(tmp_path, 20) as writer:
        writer.write(30, {"loss": -1})
    rows = MetricsWriter.read(tmp_path / "metrics.jsonl")
    assert [(row["step"], row["loss"]) for row in rows] == [(10, 10), (20, 20), (30, -1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "tensorboard"]


@pytest.mark.parametrize(
    "torn", ['{"step": 20, "lo', "\x00\x00\x00", '{"step": 20, "name": "\udce9']
)
def test_a_last_line_torn_by_a_crash_is_dropped(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 10, "loss": 1.0}\n' + torn.encode(errors="surrogateescape"))
    assert MetricsWriter.read(path) == [{"step": 10, "loss": 1.0}]
    with MetricsWriter(tmp_path, 20) as writer:
        writer.write(30, {"loss": 2.0})
    assert strict_rows(path) == [{"step": 10, "loss": 1.0}, {"step": 30, "loss": 2.0}]


def test_a_whole_last_line_without_its_newline_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "loss": 1.0}')
    with MetricsWriter(tmp_path, 20) as writer:
        writer.write(30, {"loss": 2.0})
    assert [row["step"] for row in strict_rows(path)] == [10, 30]


def test_a_broken_line_before_the_last_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "metrics.jsonl"
    text = '{"step": 10}\nbroken\n{"step": 20}\n'
    path.write_text(text)
    with pytest.raises(ValueError, match="line 2"):
        MetricsWriter(tmp_path, 20)
    assert path.read_text() == text


def test_a_crash_while_rewriting_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n{"step": 20}\n')

    def crash(*_):
        raise OSError("no space")

    monkeypatch.setattr(metrics.os, "replace", crash)
    with pytest.raises(OSError, match="no space"):
        MetricsWriter(tmp_path, 10)
    assert [row["step"] for row in strict_rows(path)] == [10, 20]


def events(folder):
    """(tag, step, value) of TensorBoard's event files: each record is a length (8 bytes), its
    checksum (4), an Event, and its checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    values, purged = [], []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            values += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            if event.WhichOneof("what") == "session_log":
                purged.append(event.step)
            data = data[16 + length :]
    return values, purged


def test_tensorboard_gets_the_same_values(tmp_path):
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write(20, {"loss": 0.5, "eval/AP": 0.25})
    assert events(tmp_path)[0] == [("loss", 20, 0.5), ("eval/AP", 20, 0.25)]


def test_tensorboard_is_told_which_steps_a_resumed_run_does_again(tmp_path):
    with MetricsWriter(tmp_path, 200):
        pass
    assert events(tmp_path)[1] == [201]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (192, "3m12s"),
        (3599.9, "1h00m"),
        (3720, "1h02m"),
        (183600, "2d03h"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """The time that Progress sees, as a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_each_log_is_a_plain_line(capsys, clock):
    with Progress(1000, 100) as progress:
        clock[0] += 20
        progress.log(200, 1.2344, 12.34)
        progress.message("checkpoint 200 [kept]")
        clock[0] += 20
        progress.log(300, float("nan"), 2000.0)
    assert capsys.readouterr().out.splitlines() == [
        "step 200/1000  loss 1.234  12.3 images/s  eta 2m40s",
        "checkpoint 200 [kept]",
        "step 300/1000  loss nan  2000.0 images/s  eta 2m20s",
    ]


def test_the_time_left_forgets_the_slow_first_steps(capsys, clock):
    progress = Progress(1000, 0)
    clock[0] += 500  # compiling
    for step in range(10, 210, 10):
        clock[0] += 10
        progress.log(step, 1.0, 1.0)
    assert capsys.readouterr().out.splitlines()[-1].endswith("eta 13m20s")  # 800 steps of 1 s


def test_the_time_left_is_unknown_before_the_first_step(capsys, clock):
    Progress(1000, 100).log(100, 1.0, 1.0)
    assert capsys.readouterr().out.splitlines()[-1].endswith("eta ?")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Makes stdout a terminal of so many columns."""

    def make(columns, kind="xterm"):
        for name, value in {"COLUMNS": str(columns), "LINES": "24", "TERM": kind}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        return terminal

    return make


@pytest.mark.parametrize("columns", [80, 120])
def test_in_a_terminal_the_bar_fits_on_one_line(open_terminal, clock, columns):
    terminal = open_terminal(columns)
    with Progress(90000, 45000) as progress:
        clock[0] += 100
        progress.log(45100, 12.3456, 123.4)
        progress.message("[kept] " + "x" * 200)
    drawn = terminal.getvalue()
    for text in ("45100/90000", "loss 12.346", "123.4 images/s", "eta 12h28m"):
        assert text in drawn, text
    assert "[kept] " + "x" * 200 in drawn
    bars = [line for line in plain_lines(drawn) if "images/s" in line]
    assert bars
    assert all(len(line) <= columns for line in bars)
    assert all(line.startswith("training ━") and "eta" in line for line in bars)


def test_in_a_narrow_terminal_the_bar_is_cut_not_wrapped(open_terminal, clock):
    terminal = open_terminal(45)
    with Progress(90000, 45000) as progress:
        clock[0] += 100
        progress.log(45100, 12.3456, 123.4)
    lines = [line for line in plain_lines(terminal.getvalue()) if line.strip()]
    assert lines
    assert all(line.startswith("tr") and len(line) <= 45 for line in lines), lines


def test_a_terminal_that_cannot_redraw_gets_plain_lines(open_terminal, clock):
    terminal = open_terminal(80, kind="dumb")
    with Progress(100, 0) as progress:
        clock[0] += 10
        progress.log(50, 1.0, 2.0)
    assert terminal.getvalue() == "step 50/100  loss 1.000  2.0 images/s  eta 10s\n"


def plain_lines(drawn):
    """What a terminal was sent, without escape sequences, by line."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn).replace("\r", "\n").splitlines()

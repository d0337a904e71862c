import errno
import json
import threading
from unittest import mock

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training import metrics, reminders, retries
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.metrics import MetricsWriter, read_rows
from jaxrcnn.training.trackers import Trackers
from tests.store import Played


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
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


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


class Kept:
    """A tracker that notes what it is given."""

    def __init__(self):
        self.calls = []

    def write(self, step, metrics):
        self.calls.append((step, dict(metrics)))

    def close(self):
        self.calls.append("closed")


def test_trackers_get_what_is_finite_once_it_is_written(tmp_path):
    class Reads(Kept):
        def write(self, step, metrics):
            super().write(step, metrics)
            assert strict_rows(tmp_path / "metrics.jsonl")[-1]["step"] == step

    kept = Reads()
    with MetricsWriter(tmp_path, 0, Trackers([kept])) as writer:
        writer.write(20, {"loss": np.float32(0.5), "eval/AP": float("nan")})
    assert kept.calls == [(20, {"loss": 0.5}), "closed"]


class Full:
    """A file whose disk takes some more bytes, and then none for a number of writes."""

    def __init__(self, file, room, errors):
        self.file, self.room, self.errors = file, room, errors

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        if not self.errors:
            return self.file.write(content)
        if self.room:
            written = self.file.write(content[: self.room])
            self.room = 0
            return written
        self.errors -= 1
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("errors", [1, 2, 3])
def test_a_line_on_a_full_disk_is_written_whole_later_or_not_at_all(tmp_path, monkeypatch, errors):
    monkeypatch.setattr(retries, "PAUSES", (0.0, 0.0))
    lines, path = [], tmp_path / "metrics.jsonl"
    with MetricsWriter(tmp_path, 0, say=lines.append) as writer:
        writer.write(10, {"loss": 1.0})
        writer._file = Full(writer._file, 7, errors)
        if errors == 3:
            with pytest.raises(CheckpointError, match=r"metrics\.jsonl could not be written"):
                writer.write(20, {"loss": 2.0})
            assert [row["step"] for row in strict_rows(path)] == [10]
        else:
            writer.write(20, {"loss": 2.0})
        writer.write(30, {"loss": 3.0})
    assert [row["step"] for row in strict_rows(path)] == ([10, 30] if errors == 3 else [10, 20, 30])
    assert len(lines) == min(errors, 2)


def test_two_processes_wait_for_the_disk_of_the_first(tmp_path, monkeypatch):
    """And do not go on to a step, which would not wait for it for long."""
    played = Played(monkeypatch)
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(retries, "PAUSES", ())
    with MetricsWriter(tmp_path / "0", 0) as first, MetricsWriter(tmp_path / "1", 0) as other:
        first.write(1, {"loss": 1})
        monkeypatch.setattr(first, "_append", mock.Mock(side_effect=full))
        with pytest.raises(CheckpointError, match="No space left on device"):
            first.write(2, {"loss": 2})
        played.become(1)
        other.write(1, {"loss": 1})
        with pytest.raises(CheckpointError, match="No space left on device"):
            other.write(2, {"loss": 2})
    assert strict_rows(tmp_path / "1" / "metrics.jsonl") == [{"step": 1, "loss": 1}]


def test_rows_of_a_run_that_wrote_none_and_of_one_that_cannot_be_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_rows(path) == []
    path.write_text("broken\n{}\n")
    with pytest.raises(ConfigError, match=rf"^{path} cannot be read: .*line 1"):
        read_rows(path)


def test_a_write_that_hangs_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(reminders.Reminder.__init__, "__defaults__", ((0.05,),))
    lines, said = [], threading.Event()

    def say(line):
        lines.append(line)
        said.set()

    class Hanging(Trackers):
        def write(self, step, metrics):
            assert said.wait(60)

    with MetricsWriter(tmp_path, 0, Hanging(), say) as writer:
        writer.write(1, {"loss": 1.0})
    assert lines[:1] == ["note: still writing metrics.jsonl, or giving it to trackers … 0 s"]

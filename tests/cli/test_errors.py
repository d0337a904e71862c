import errno
import os
import subprocess
import sys

import jax
import pytest

import jaxrcnn
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.training.errors import CheckpointError, Interrupted, NonFiniteLossError, PeerError


def end_of(error, capsys, workdir=None):
    """The exit code of a program that an error ends, and what it says."""
    with pytest.raises(SystemExit) as stop, one_line_errors("; go on", workdir):
        raise error
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a\nb"), 2),
        (DataError("a\nb"), 2),
        (NonFiniteLossError(3, "a\nb"), 3),
        (CheckpointError("a\nb"), 4),
        (PeerError("a\nb"), 5),
    ],
    ids=lambda x: type(x).__name__,
)
def test_an_expected_error_is_one_line_and_has_its_exit_code(capsys, monkeypatch, error, code):
    monkeypatch.delenv("JAXRCNN_TRACEBACK", raising=False)
    assert end_of(error, capsys) == (code, "error: a b\n")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "SIGINT: interrupted; go on"),
        (Interrupted(2, "SIGINT: saved step 3"), 130, "SIGINT: saved step 3"),
        (Interrupted(15, "SIGTERM: saved step 3"), 143, "SIGTERM: saved step 3"),
    ],
    ids=repr,
)
def test_a_signal_is_one_line_and_has_its_exit_code(capsys, error, code, line):
    assert end_of(error, capsys) == (code, f"\n{line}\n")


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EACCES, 2), (errno.ENOTDIR, 2), (errno.ENOSPC, 4), (errno.EROFS, 4)],
)
def test_what_the_disk_reports_is_one_line(capsys, number, code):
    said = f"error: runs/a/config.json: {os.strerror(number)}\n"
    error = OSError(number, os.strerror(number), "runs/a/config.json")
    assert end_of(error, capsys) == (code, said)


def test_a_full_disk_is_one_line_whatever_is_written(capsys):
    error = OSError(errno.ENOSPC, "No space left on device")
    assert end_of(error, capsys) == (4, "error: writing a file: No space left on device\n")


def test_the_place_of_an_expected_error_is_shown_on_request(capsys, monkeypatch):
    monkeypatch.setenv("JAXRCNN_TRACEBACK", "1")
    code, said = end_of(ConfigError("a"), capsys)
    assert code == 2
    assert said.startswith("Traceback")
    assert "raise error" in said
    assert said.endswith("\nerror: a\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), TimeoutError("no file is named")])
def test_an_unexpected_error_says_what_to_send(tmp_path, error):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(type(error)) as raised, one_line_errors("", tmp_path):
        raise error
    (note,) = raised.value.__notes__
    there, versions = note.splitlines()[-2:]
    assert str(tmp_path / "config.json") in there
    assert "metrics.jsonl" not in there
    assert f"jaxrcnn {jaxrcnn.__version__}, jax {jax.__version__}, Python" in versions


def test_a_reader_that_leaves_ends_the_program_without_a_word():
    code = (
        "from jaxrcnn.cli.errors import one_line_errors\n"
        "with one_line_errors():\n    for _ in range(10**6): print('a line')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout
        assert program.stderr
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
        assert program.wait(60) == 141

import contextlib
import os

import pytest

from jaxrcnn.cli.parsing import OneLineParser, fail, show, stop
from jaxrcnn.config import ConfigError, ListedError


def test_an_error_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        OneLineParser("x", "y").parse_args(["--z"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --z; see x --help\n"


def test_the_items_of_a_list_are_lines_below_the_error(capsys):
    listed = ListedError("two fields\ndiffer", ["a: 1 | 2", "b: 3 | 4"], "choose")
    for error in (listed, ConfigError("x: y")):
        with pytest.raises(SystemExit) as stop:
            fail(error)
        assert stop.value.code == 2
    lines = ["error: two fields differ:", "  a: 1 | 2", "  b: 3 | 4", "  choose", "error: x: y"]
    assert capsys.readouterr().err.splitlines() == lines
    assert str(ListedError("two", ["a", "b"], "c")) == "two: a; b; c"


def test_texts_have_paragraphs_and_lists_and_break_at_no_hyphen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "42")  # of which argparse takes 40
    parser = OneLineParser("x", "y")
    parser.epilog = "A paragraph that ends with the flag --help-all\nand more.\n\na list:\n  a\n  b"
    epilog = "A paragraph that ends with the flag\n--help-all and more.\n\na list:\n  a\n  b\n"
    assert parser.format_help().endswith(f"\n\n{epilog}")


def test_a_reader_that_closes_the_pipe_early_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, contextlib.redirect_stdout(closed):
        with pytest.raises(SystemExit) as stop:
            show("as `train.py --help | head -1` does")
        assert stop.value.code == 0


@pytest.mark.parametrize("end", [lambda: fail(ValueError("a"), 3), lambda: stop("a", 3)])
def test_a_closed_stderr_leaves_the_exit_code(end):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, contextlib.redirect_stderr(closed):
        with pytest.raises(SystemExit) as raised:
            end()
        assert raised.value.code == 3

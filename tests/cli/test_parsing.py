import pytest

from jaxrcnn.cli.parsing import OneLineParser


def test_an_error_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        OneLineParser("x", "y").parse_args(["--z"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --z; see x --help\n"


def test_texts_have_paragraphs_and_lists_and_break_at_no_hyphen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "42")  # of which argparse takes 40
    parser = OneLineParser("x", "y")
    parser.epilog = "A paragraph that ends with the flag --help-all\nand more.\n\na list:\n  a\n  b"
    epilog = "A paragraph that ends with the flag\n--help-all and more.\n\na list:\n  a\n  b\n"
    assert parser.format_help().endswith(f"\n\n{epilog}")

import argparse
import pathlib
import sys
import types

import pytest

from jaxrcnn.cli import COMMANDS, evaluate, main, predict, proposals
from jaxrcnn.cli.parsing import OneLineParser
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError


def parser_of(command):
    parser = OneLineParser(prog="x")
    command.add_arguments(parser)
    return parser


@pytest.fixture
def command(monkeypatch):
    """Puts a command of the test's own in the place of evaluate."""

    def put(body):
        module = types.ModuleType("jaxrcnn.cli.evaluate")
        module.add_arguments = lambda parser: parser.add_argument("workdir")
        module.main = body
        monkeypatch.setitem(sys.modules, "jaxrcnn.cli.evaluate", module)

    return put


def complaint(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command):
    seen = []
    command(lambda arguments: seen.append(arguments) or 3)
    assert main(["evaluate", "some/run"]) == 3
    assert seen == [argparse.Namespace(workdir="some/run")]


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_wrong_input_found_by_a_command_is_one_line(command, capsys, kind):
    def body(arguments):
        raise kind("this is\nwrong")

    command(body)
    assert complaint(capsys, ["evaluate", "some/run"]) == "error: this is wrong\n"


def test_other_errors_of_a_command_are_not_hidden(command):
    def body(arguments):
        raise ZeroDivisionError

    command(body)
    with pytest.raises(ZeroDivisionError):
        main(["evaluate", "some/run"])


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said and summary in said for name, summary in COMMANDS.items())


@pytest.mark.parametrize("argv", [[], ["predct"], ["--", "evaluate"], ["--x", "evaluate"]])
def test_no_known_command_is_one_line(capsys, argv):
    complaint(capsys, argv)


def test_an_unknown_command_is_named(capsys):
    assert "'predct'" in complaint(capsys, ["predct", "a"])


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["evaluate"], "WORKDIR"),
        (["evaluate", "w", "--batch-size", "0"], "--batch-size: got '0', takes a whole number"),
        (["evaluate", "w", "--step", "-1"], "--step: got '-1', takes a whole number"),
        (["evaluate", "w", "--st", "1"], "--st"),
        (["proposals"], "WORKDIR"),
        (["proposals", "w", "--step", "x"], "--step: got 'x', takes a whole number"),
        (["proposals", "w", "--split", "test"], "--split: invalid choice: 'test'"),
        (["proposals", "w", "--dump", "a.json"], "--dump: got 'a.json', takes a path that ends in"),
        (["predict", "w", "--out", "o"], "IMAGES"),
        (["predict", "w", "p"], "--out"),
        (["predict", "w", "p", "--out", "o", "--score", "2"], "--score: got '2', takes a number"),
        (["predict", "w", "p", "--out", "o", "--score", "nan"], "--score: got 'nan'"),
        (["predict", "w", "p", "--out", "o", "--score", "x"], "--score: got 'x'"),
        (["predict", "w", "p", "--out", "o", "--batch", "0"], "--batch: got '0', takes a whole"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(capsys, argv, part):
    assert part in complaint(capsys, argv)


def test_arguments_of_evaluate():
    plain = parser_of(evaluate).parse_args(["w"])
    assert vars(plain) == {"workdir": pathlib.Path("w"), "step": None, "batch_size": None}
    full = parser_of(evaluate).parse_args(["w", "--step", "0", "--batch-size", "2"])
    assert (full.step, full.batch_size) == (0, 2)


def test_arguments_of_proposals():
    plain = parser_of(proposals).parse_args(["w"])
    assert (plain.workdir, plain.split, plain.dump) == (pathlib.Path("w"), "eval", None)
    assert (plain.step, plain.batch_size) == (None, None)
    full = parser_of(proposals).parse_args(["w", "--split", "train", "--dump", "d/p.npz"])
    assert (full.split, full.dump) == ("train", pathlib.Path("d/p.npz"))


def test_arguments_of_predict():
    arguments = parser_of(predict).parse_args(["w", "a.png", "b.png", "--out", "o"])
    assert arguments.model == pathlib.Path("w")
    assert arguments.images == [pathlib.Path("a.png"), pathlib.Path("b.png")]
    assert arguments.out == pathlib.Path("o")
    assert (arguments.score, arguments.batch) == (0.5, 8)
    words = ["w", "a.png", "--out", "o", "--score", "0", "--batch", "2"]
    given = parser_of(predict).parse_args(words)
    assert (given.score, given.batch) == (0.0, 2)

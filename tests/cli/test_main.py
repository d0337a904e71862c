import argparse
import io
import os
import pathlib
import subprocess
import sys
import types

import pytest

import jaxrcnn
from jaxrcnn.cli import COMMANDS, main, split_fields
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from tests.complaints import error_line

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def command(monkeypatch):
    """Puts a command of the test's own in the place of evaluate."""

    def put(body, takes_fields=False):
        described = types.ModuleType("jaxrcnn.cli.arguments.evaluate")
        described.add_arguments = lambda parser: parser.add_argument("workdir")
        described.TAKES_FIELDS = takes_fields
        work = types.ModuleType("jaxrcnn.cli.evaluate")
        work.main = body
        for module in (described, work):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def complaint(capsys, argv):
    return error_line(capsys, main, argv)


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command):
    seen = []
    command(lambda arguments: seen.append(arguments) or 3)
    assert main(["evaluate", "some/run"]) == 3
    assert seen == [argparse.Namespace(workdir="some/run")]


def test_a_command_gets_the_fields_if_it_takes_any(command):
    seen = []
    command(lambda arguments, fields: seen.append((arguments.workdir, fields)) or 0, True)
    assert main(["evaluate", "some/run", "--config.seed", "3"]) == 0
    assert seen == [("some/run", ["--config.seed", "3"])]


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_wrong_input_found_by_a_command_is_one_line(command, capsys, kind):
    def body(arguments):
        raise kind("this is\nwrong")

    command(body)
    assert complaint(capsys, ["evaluate", "some/run"]) == "error: this is wrong\n"


def test_a_platform_that_is_not_here_is_one_line_that_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jaxrcnn", "predict", "m", "a.png", "--out", str(tmp_path / "o")],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "none", "JAXRCNN_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    said = "error: JAX_PLATFORMS=none cannot be used here: Unable to initialize backend 'none'"
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_platform_without_a_plugin_is_one_line(command, capsys, monkeypatch):
    def fail():
        raise AssertionError  # as jax 0.10 does of JAX_PLATFORMS=cuda

    command(lambda arguments: 0)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr("jax.local_devices", fail)
    assert complaint(capsys, ["evaluate", "some/run"]) == (
        "error: JAX_PLATFORMS=cuda cannot be used here: there is no such device, or no plugin "
        "for it\n"
    )


def test_a_command_prints_any_name_whatever_the_terminal_can_show(command, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    command(lambda arguments: print("猫.png", flush=True) or 0)
    assert main(["evaluate", "some/run"]) == 0
    assert written.getvalue() == b"?.png\n"


def test_other_errors_of_a_command_are_not_hidden(command):
    def body(arguments):
        raise ZeroDivisionError

    command(body)
    with pytest.raises(ZeroDivisionError):
        main(["evaluate", "some/run"])


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_help_lists_the_commands(capsys, monkeypatch, argv):
    monkeypatch.setenv("COLUMNS", "80")
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    assert code == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert all(name in said and summary in said for name, summary in COMMANDS.items())


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jaxrcnn {jaxrcnn.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["train.py", "--help"],
        ["train.py", "--help-all"],
        ["jaxrcnn/__main__.py", "--help"],
        *(["jaxrcnn/__main__.py", command, "--help"] for command in COMMANDS),
    ],
    ids=" ".join,
)
def test_help_loads_no_library(words):
    run = "import runpy; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
    help_text, loaded = run_python(run, *words)
    assert help_text.startswith("usage: ")
    _, always_loaded = run_python("pass")
    assert loaded - always_loaded - sys.stdlib_module_names == {"jaxrcnn"}


def run_python(code, *words):
    """What a program prints, and the packages that it has loaded at its end."""
    say = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    done = subprocess.run(
        [sys.executable, "-c", f"{say}; {code}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("argv", [["predct"], ["--", "evaluate"], ["--x", "evaluate"]])
def test_no_known_command_is_one_line(capsys, argv):
    complaint(capsys, argv)


def test_an_unknown_command_is_named(capsys):
    assert "'predct'" in complaint(capsys, ["predct", "a"])


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["evaluate"], "WORKDIR"),
        (["evaluate", "w", "--batch-size", "0"], "--batch-size: got '0', expected a whole number"),
        (["evaluate", "w", "--step", "-1"], "--step: got '-1', expected best, last or a step"),
        (["evaluate", "w", "--st", "1"], "--st"),
        (["proposals"], "WORKDIR"),
        (
            ["proposals", "w", "--checkpoint", "x"],
            "--checkpoint: got 'x', expected best, last or a",
        ),
        (["proposals", "w", "--split", "test"], "--split: invalid choice: 'test'"),
        (
            ["proposals", "w", "--dump", "a.json"],
            "--dump: got 'a.json', expected a path that ends in",
        ),
        (["predict", "w", "--out", "o"], "IMAGES"),
        (["predict", "w", "p"], "--out"),
        (
            ["predict", "w", "p", "--out", "o", "--score", "2"],
            "--score: got '2', expected a number",
        ),
        (["predict", "w", "p", "--out", "o", "--score", "nan"], "--score: got 'nan'"),
        (["predict", "w", "p", "--out", "o", "--score", "x"], "--score: got 'x'"),
        (["predict", "w", "p", "--out", "o", "--batch", "0"], "--batch: got '0', expected a whole"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(capsys, argv, part):
    assert part in complaint(capsys, argv)


def test_values_of_fields_are_no_other_arguments():
    words = ["a", "--config.x.y", "1", "2", "--out", "o", "--config.z", "-3", "--config", "c", "b"]
    rest = ["a", "--out", "o", "--config", "c", "b"]
    assert split_fields(words) == (rest, ["--config.x.y", "1", "2", "--config.z", "-3"])

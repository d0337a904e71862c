"""The command line around `train`; whole runs are in tests/test_train.py."""

import ast
import pathlib

import pytest

from jaxrcnn.cli import train as command
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.training.errors import NonFiniteLossError

ROOT = pathlib.Path(__file__).parents[2]
WORDS = ("--config", "tiny", "--workdir", "some/run")


def source_of(path):
    """The statements of train() in a file, without its docstring."""
    (found,) = (
        node
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "train"
    )
    return [ast.unparse(statement) for statement in found.body[1:]], ast.unparse(found.args)


def test_the_command_and_the_script_do_the_same():
    assert source_of("train.py") == source_of("jaxrcnn/cli/train.py")


def test_train_is_given_the_config_the_workdir_and_the_pieces(capsys):
    seen = []
    words = (*WORDS, "--pieces", "my_fork:build", "--config.train.steps", "7")
    assert command.main(words, lambda *given: seen.append(given)) == 0
    ((config, workdir, pieces),) = seen
    assert config.train.steps == 7
    assert (workdir, pieces) == (pathlib.Path("some/run"), "my_fork:build")
    assert capsys.readouterr().out == "tiny: 7 steps of 2 images, saved in some/run\n"


def test_epochs_are_said_before_their_steps_are_known(capsys):
    command.main([*WORDS, "--config.train.epochs", "2.5"], lambda *_: None)
    said = capsys.readouterr().out
    assert said == "tiny: 2.5 epochs in steps of 2 images, saved in some/run\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError, 2), (DataError, 2), (lambda text: NonFiniteLossError(3, text), 3)],
)
def test_what_cannot_be_done_is_one_line(capsys, error, code):
    def fail(*_):
        raise error("this is\nwrong")

    with pytest.raises(SystemExit, match=f"^{code}$"):
        command.main(WORDS, fail)
    assert capsys.readouterr().err == "error: this is wrong\n"


def test_other_errors_are_not_hidden():
    def fail(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command.main(WORDS, fail)


def test_an_interruption_is_one_line(capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        command.main(WORDS, interrupted)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith(
        "SIGINT: interrupted; the same command continues from the last checkpoint"
    )

import pathlib

from jaxrcnn.cli.arguments import evaluate
from tests.cli.arguments.parse import parse


def test_arguments_of_evaluate():
    plain = parse(evaluate, "w")
    assert plain == {
        "workdir": pathlib.Path("w"),
        "step": None,
        "batch_size": None,
        "pieces": None,
    }
    full = parse(evaluate, "w", "--step", "0", "--batch-size", "2", "--pieces", "a.b:c")
    assert (full["step"], full["batch_size"], full["pieces"]) == (0, 2, "a.b:c")

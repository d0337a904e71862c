import pathlib

from jaxrcnn.cli.arguments import evaluate
from tests.cli.arguments.parse import parse


def test_arguments_of_evaluate():
    plain = parse(evaluate, "w")
    assert plain == {
        "workdir": pathlib.Path("w"),
        "checkpoint": None,
        "batch_size": None,
        "pieces": None,
        **dict.fromkeys(("distributed", "coordinator", "processes", "process", "data", "out")),
        **{"flip": False, "scales": (), "tile": 0, "overlap": 0.2},
    }
    full = parse(evaluate, "w", "--checkpoint", "0", "--batch-size", "2", "--pieces", "a.b:c")
    assert (full["checkpoint"], full["batch_size"], full["pieces"]) == (0, 2, "a.b:c")


def test_the_earlier_name_of_checkpoint_is_read_with_a_note(capsys):
    assert parse(evaluate, "w", "--step", "40")["checkpoint"] == 40
    assert capsys.readouterr().err == "note: --step is now called --checkpoint\n"

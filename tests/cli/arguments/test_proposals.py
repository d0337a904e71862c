import pathlib

from jaxrcnn.cli.arguments import proposals
from tests.cli.arguments.parse import parse


def test_arguments_of_proposals():
    run = {"workdir": pathlib.Path("w"), "checkpoint": None, "batch_size": None, "pieces": None}
    assert parse(proposals, "w") == {**run, "split": "eval", "dump": None}
    full = parse(proposals, "w", "--split", "train", "--dump", "d/p.npz")
    assert full == {**run, "split": "train", "dump": pathlib.Path("d/p.npz")}

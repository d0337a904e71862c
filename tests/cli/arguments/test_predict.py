import pathlib

from jaxrcnn.cli.arguments import predict
from tests.cli.arguments.parse import parse


def test_arguments_of_predict():
    plain = parse(predict, "w", "a.png", "b.png", "--out", "o")
    assert plain == {
        "model": pathlib.Path("w"),
        "images": [pathlib.Path("a.png"), pathlib.Path("b.png")],
        "out": pathlib.Path("o"),
        "score": 0.5,
        "batch": 8,
        "font": None,
        "checkpoint": None,
        "pieces": None,
        **{"flip": False, "scales": (), "tile": 0, "overlap": 0.2},
    }
    given = parse(predict, "w", "a.png", "--out", "o", "--score", "0", "--batch", "2")
    assert (given["score"], given["batch"]) == (0.0, 2)
    for word in ("best", "last"):
        assert parse(predict, "w", "a", "--out", "o", "--checkpoint", word)["checkpoint"] == word

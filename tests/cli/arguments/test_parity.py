import pathlib

from jaxrcnn.cli.arguments import parity
from tests.cli.arguments.parse import parse


def test_an_earlier_name_of_an_argument_works_and_the_new_one_is_said(capsys):
    given = parse(parity, "w.pth", "--model", "m", "--pictures", "a.png", "b.png")
    assert given["images"] == [pathlib.Path("a.png"), pathlib.Path("b.png")]
    assert capsys.readouterr().err == "note: --pictures is now called --images\n"

import re

from jaxrcnn.cli.arguments import convert
from jaxrcnn.cli.parsing import OneLineParser
from jaxrcnn.interop.models import MODELS


def test_help_lists_the_models_under_whose_they_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = OneLineParser("x", "y")
    convert.add_arguments(parser)
    text = parser.format_help()
    torchvision, detectron2 = text.split("\nmodels of ")[1:]
    assert torchvision.startswith("torchvision (")
    assert detectron2.startswith("Detectron2 (")
    listed = re.compile(r"^  (faster\w+)$", re.MULTILINE)
    assert sorted(listed.findall(text)) == sorted(MODELS)
    assert all(name.startswith("fasterrcnn_") for name in listed.findall(torchvision))
    assert max(map(len, text.splitlines())) <= 80

import inspect
import re

import pytest

import jaxrcnn.config
from jaxrcnn.cli.field_help import field_help
from jaxrcnn.config import Config, DataConfig, RpnConfig
from jaxrcnn.config_io import field_types


def string_below(line):
    """What stands below a line of config.py."""
    source = inspect.getsource(jaxrcnn.config)
    found = re.search(rf'^    {re.escape(line)}\n    """(.*?)"""', source, re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split())


@pytest.mark.parametrize(
    ("name", "line", "ending"),
    [
        ("seed", "seed: int = 0", "(int; default: 0)"),
        (
            "data.root",
            'root: str | tuple[str, ...] = ""',
            "(str or any number of str values; default: 'my data')",
        ),
        ("data.skip_empty", "skip_empty: bool = True", "(True or False; default: True)"),
        (
            "model.rpn.coder_weights",
            "coder_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)",
            "(4 float values; default: 1.0 1.0 1.0 1.0)",
        ),
        (
            "model.neck.name",
            'name: Literal["fpn", "c4", "c5"] = "fpn"',
            "(one of fpn, c4, c5; default: fpn)",
        ),
    ],
)
def test_the_string_below_a_field_its_type_and_its_default(name, line, ending):
    text = field_help(Config(data=DataConfig(root="my data")))[name].text
    assert text.replace("\N{NO-BREAK SPACE}", " ") == f"{string_below(line)} {ending}"


def test_every_field_is_described_and_has_the_title_of_its_group():
    fields = field_help(Config())
    assert fields.keys() == field_types().keys()
    assert all(re.match(r"\S.* \(", field.text) for field in fields.values())
    assert f"{fields['model.rpn.samples'].group}." == RpnConfig.__doc__.splitlines()[0]

import pytest

from jaxrcnn.cli.arguments import study
from tests.cli.arguments.parse import parse


def test_a_sweep_is_a_field_and_its_values():
    given = parse(study, "--config", "c.py", "--sweep", "target_gradient=0,0.1,0.1,1")
    assert given["sweep"] == ("target_gradient", (0.0, 0.1, 1.0))


@pytest.mark.parametrize("text", ["pooling=1", "pooling_gradient", "pooling_gradient=2", "=1"])
def test_another_sweep_is_one_line(text, capsys):
    with pytest.raises(SystemExit):
        parse(study, "--config", "c.py", "--sweep", text)
    assert "argument --sweep: got" in capsys.readouterr().err

"""The one line that a command which cannot go on ends in."""

import pytest


def error_line(capsys, call, *arguments, code=2):
    """What a call that ends the process writes: one line, with an exit code."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        call(*arguments)
    assert stop.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said

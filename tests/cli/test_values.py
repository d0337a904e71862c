import pathlib
import shlex
from typing import Literal

import pytest

from jaxrcnn.cli.values import read_value, show_value
from jaxrcnn.config import AlternatingStep, Config
from jaxrcnn.config_io import field_types, field_values


@pytest.mark.parametrize(
    ("words", "kind", "value"),
    [
        (["-3"], int, -3),
        (["2"], float, 2.0),
        (["1e-3"], float, 0.001),
        ([""], str, ""),
        (["true"], bool, True),
        (["0"], bool, False),
        (["fpn"], Literal["fpn", "c4"], "fpn"),
        (["a/b"], pathlib.Path, pathlib.Path("a/b")),
        ([], tuple[int, ...], ()),
        (["3", "-4"], tuple[int, ...], (3, -4)),
        (["[3, 4]"], tuple[int, ...], (3, 4)),
        (["1", "2"], tuple[float, float], (1.0, 2.0)),
        (["((8,), [16, 32])"], tuple[tuple[float, ...], ...], ((8.0,), (16.0, 32.0))),
        (["a b"], str | tuple[str, ...], "a b"),
        (["a", "b"], str | tuple[str, ...], ("a", "b")),
        (["('a b',)"], str | tuple[str, ...], ("a b",)),
        (["({'steps': 3},)"], tuple[AlternatingStep, ...], (AlternatingStep(steps=3),)),
    ],
)
def test_words_become_a_value(words, kind, value):
    read = read_value(words, kind)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ([], int),
        (["1", "2"], int),
        (["1.0"], int),
        (["x"], float),
        (["yes"], bool),
        (["TRUE"], bool),
        (["FPN"], Literal["fpn", "c4"]),
        ([""], pathlib.Path),
        (["3,4"], tuple[int, ...]),
        (["[3, 4.5]"], tuple[int, ...]),
        (["[3, 4"], tuple[int, ...]),
        (["1"], tuple[float, float]),
        (["8", "16"], tuple[tuple[float, ...], ...]),
        (["__import__('os')"], tuple[tuple[float, ...], ...]),
        (["({'stps': 3},)"], tuple[AlternatingStep, ...]),
    ],
)
def test_words_of_another_type_are_refused(words, kind):
    with pytest.raises(ValueError, match=r".+"):
        read_value(words, kind)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "True"),
        ("", "''"),
        ("a b", "'a b'"),
        ((), "'()'"),
        ((1, 2), "1 2"),
        (("a b", "c"), "'a b' c"),
        (((8.0,), (16.0,)), "'((8.0,), (16.0,))'"),
    ],
)
def test_a_value_is_shown_as_it_is_typed(value, text):
    assert show_value(value) == text


def test_what_is_shown_of_any_field_reads_back():
    types = field_types()
    for name, value in field_values(Config()).items():
        assert read_value(shlex.split(show_value(value)), types[name]) == value

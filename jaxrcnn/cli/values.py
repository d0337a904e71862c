"""Words of a command line as the values of a config's fields."""

import ast
import dataclasses
import json
import pathlib
import shlex
import types
import typing
from collections.abc import Sequence
from typing import Any

from jaxrcnn.config_io import convert

BOOLEANS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


class ConfigSource(str):
    """The type of an option that is the name of a config, or its file."""


NOT_EMPTY = (pathlib.Path, ConfigSource)
"""Types whose words say something."""


def read_value(words: Sequence[str], kind: Any) -> Any:
    """The words after a flag, as a value of its type.

    Args:
        words: one, or of a tuple any number. A tuple may also be one Python literal, and a tuple of
            tuples or of dataclasses (as dicts) is always one.
        kind: the annotated type of a field, `pathlib.Path` or `ConfigSource`.

    Raises:
        ValueError: they are no such value.
    """
    if isinstance(kind, types.UnionType):  # one word or, as a tuple, several
        alone, several = typing.get_args(kind)
        literal = len(words) == 1 and words[0].startswith(("(", "["))
        return read_value(words, alone if len(words) == 1 and not literal else several)
    if typing.get_origin(kind) is tuple:
        return _read_tuple(words, kind)
    if len(words) != 1:
        raise ValueError(f"{len(words)} words in place of one")
    (word,) = words
    if typing.get_origin(kind) is typing.Literal:
        return convert(word, kind)
    if (kind is bool and word not in BOOLEANS) or (kind in NOT_EMPTY and not word):
        raise ValueError(f"{word!r} is no {kind.__name__}")
    return BOOLEANS[word] if kind is bool else kind(word)


def _read_tuple(words: Sequence[str], kind: Any) -> tuple[Any, ...]:
    element = typing.get_args(kind)[0]
    if _is_nested(element) or (len(words) == 1 and words[0].startswith(("(", "["))):
        return convert(_literal(" ".join(words)), kind)
    return convert([element(word) for word in words], kind)


def _is_nested(element: Any) -> bool:
    return typing.get_origin(element) is tuple or dataclasses.is_dataclass(element)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError) as error:
        raise ValueError(f"{text} is no Python literal") from error


def show_value(value: Any) -> str:
    """The inverse of `read_value`, as a person types it into a shell."""
    if not isinstance(value, tuple):
        return shlex.quote(str(value))
    if value and dataclasses.is_dataclass(value[0]):
        # JSON's double quotes need no escaping between a shell's single ones.
        return shlex.quote(json.dumps([dataclasses.asdict(item) for item in value]))
    if not value or isinstance(value[0], tuple):
        return shlex.quote(str(value))
    return " ".join(shlex.quote(str(item)) for item in value)

"""What each field of a config means, for ``--help``."""

import ast
import inspect
import itertools
import operator
from typing import NamedTuple

import jaxrcnn.config
from jaxrcnn.cli.values import show_value
from jaxrcnn.config import Config
from jaxrcnn.config_io import describe_type, field_types

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
"""Keeps a type and its default on one line."""


class FieldHelp(NamedTuple):
    """The help of one field."""

    group: str
    """First line of the docstring of the dataclass that holds the field."""
    text: str
    """The string below the field, its type and its default."""


def field_help(config: Config) -> dict[str, FieldHelp]:
    """The help of every field by its dotted name, with the values of a config as the defaults."""
    strings = _strings_below_fields()
    found = {}
    for name, kind in field_types().items():
        path, _, field = name.rpartition(".")
        group = operator.attrgetter(path)(config) if path else config
        title = (type(group).__doc__ or "").partition("\n")[0].removesuffix(".")
        meaning = strings[type(group).__name__].get(field, "")
        default = NO_BREAK_SPACE.join(("", "default:", show_value(getattr(group, field))))
        found[name] = FieldHelp(title, f"{meaning} ({describe_type(kind)};{default})")
    return found


def _strings_below_fields() -> dict[str, dict[str, str]]:
    """The string below every field, on one line, by the names of the dataclass and the field."""
    return {
        node.name: {
            field.target.id: " ".join(below.value.value.split())
            for field, below in itertools.pairwise(node.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        }
        for node in ast.parse(inspect.getsource(jaxrcnn.config)).body
        if isinstance(node, ast.ClassDef)
    }

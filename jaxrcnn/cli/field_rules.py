"""How tyro reads the config's fields: booleans and tuples as a person types them, and as help the
string under each field.
"""

import ast
import dataclasses
import inspect
import itertools
import json
import typing
from typing import Any

from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from jaxrcnn.config_io import convert

TRUE, FALSE = ("True", "true", "1"), ("False", "false", "0")

FIELD_RULES = ConstructorRegistry()


@FIELD_RULES.struct_rule
def _dataclass_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass, each field with the string under it for help."""
    if not dataclasses.is_dataclass(info.type):
        return None
    helps = _field_strings(info.type)
    types = typing.get_type_hints(info.type, include_extras=True)
    fields = tuple(
        StructFieldSpec(name, kind, getattr(info.default, name), helps.get(name, ""))
        for name, kind in types.items()
    )
    return StructConstructorSpec(instantiate=info.type, fields=fields)


def _field_strings(kind: Any) -> dict[str, str]:
    """The string under every field of a dataclass, on one line."""
    body = typing.cast(ast.ClassDef, ast.parse(inspect.getsource(kind)).body[0]).body
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


@FIELD_RULES.primitive_rule
def _bool_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """True, true and 1; False, false and 0."""
    if info.type is not bool:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{True,False}",
        instance_from_str=lambda words: words[0] in TRUE,
        choices=TRUE + FALSE,
        is_instance=lambda value: isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


@FIELD_RULES.primitive_rule
def _tuple_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Words separated by spaces or one Python literal; of nested tuples only the literal."""
    if info.type_origin is not tuple:
        return None
    element, *others = typing.get_args(info.type)
    nested = typing.get_origin(element) is tuple
    if dataclasses.is_dataclass(element):
        return _literal_rule(info.type)
    if nested:
        metavar = "'((...), ...)'"
    elif others[-1:] == [Ellipsis]:
        metavar = f"[{element.__name__.upper()} ...]"
    else:
        metavar = " ".join(part.__name__.upper() for part in (element, *others))
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=metavar,
        instance_from_str=lambda words: _tuple_from_words(words, info.type, element),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [str(value)] if nested else [str(item) for item in value],
    )


def _literal_rule(kind: Any) -> PrimitiveConstructorSpec:
    """A tuple of dataclasses: one Python literal, a tuple or list of dicts."""
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="'({...}, ...)'",
        instance_from_str=lambda words: convert(_literal(" ".join(words)), kind),
        is_instance=lambda value: isinstance(value, tuple),
        # With JSON's double quotes, which a shell's single ones hold as they are.
        str_from_instance=lambda value: [json.dumps([dataclasses.asdict(item) for item in value])],
    )


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError) as error:
        raise ValueError(f"{text} is no Python literal") from error


def _tuple_from_words(words: list[str], kind: Any, element: Any) -> tuple[Any, ...]:
    if len(words) == 1 and words[0].startswith(("(", "[")):
        return convert(_literal(words[0]), kind)
    if typing.get_origin(element) is tuple:
        raise ValueError("takes one Python literal")
    return convert([element(word) for word in words], kind)

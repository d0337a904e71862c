"""Configs as flat fields, as JSON and as changes to another config, and their differences."""

import contextlib
import dataclasses
import difflib
import json
import types
import typing
import warnings
from collections.abc import Collection, Mapping
from typing import Any, Literal

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.peer_fields import peer_hint

UNKEPT = ("profile",)
"""Groups of fields that do not affect what a run computes. They are not written to config.json, so
that a run can be resumed with other values."""


LONGEST = 500
"""Characters of a value that an error shows."""

FORMAT_VERSION = 6
"""Version of the layout of a run's or model's folder, stored in its config.json. Earlier ones used
the old names in `RENAMED`, and lacked the fields that are newer; version 1 was not stored."""

NEW_GROUPS = ("train.mesh",)
"""Groups of fields that version 1 did not have."""

RENAMED: dict[str, tuple[str, ...]] = {
    "data.num_train_pictures": ("data.num_train_images",),
    "data.num_eval_pictures": ("data.num_eval_images",),
    "eval.pictures": ("eval.images",),
    "model.detections.pre_nms": (),
    "train.optimizer.decay_norm_and_bias": (
        "train.optimizer.decay_norms",
        "train.optimizer.decay_biases",
    ),
}
"""Old field names that are still read from files, and the current ones: several where a field was
split, none where it no longer exists."""


def field_types(kind: type = Config, prefix: str = "") -> dict[str, Any]:
    """Dotted name of every leaf field, e.g. ``model.rpn.samples``, and its annotated type."""
    found = {}
    for name, annotation in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            found |= field_types(typing.cast(type, annotation), f"{prefix}{name}.")
        else:
            found[prefix + name] = annotation
    return found


def field_values(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name of every leaf field and its value, in the order of `field_types`."""
    values = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            values |= field_values(value, f"{prefix}{field.name}.")
        else:
            values[prefix + field.name] = value
    return values


def replace_fields(config: Config, fields: Mapping[str, Any]) -> Config:
    """The config with other values for some of its fields.

    Args:
        config: to start from; it stays as it is.
        fields: the new values by dotted name, e.g. ``{"train.steps": 270000}``.

    Raises:
        ConfigError: a name is not that of a field, or a value has the wrong type.
    """
    known = field_types()
    for name, value in fields.items():
        if name not in known:
            raise ConfigError(f"unknown field {name}{_hint(name, known)}")
        config = _replaced(config, name.split("."), _field(value, known[name], name))
    return config


def _replaced(group: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    return dataclasses.replace(
        group, **{name: _replaced(getattr(group, name), rest, value) if rest else value}
    )


def _hint(name: str, known: Collection[str]) -> str:
    """What was probably meant by a name that is not a field's."""
    if name in RENAMED:
        return f"; it {what_became_of(name)}"
    members = [field for field in known if field.startswith(f"{name}.")]
    if members:
        return f"; it is a group of {', '.join(members)}"
    if hint := peer_hint(name, known):
        return f"; {hint}"
    return "".join(f"; did you mean {x}?" for x in difflib.get_close_matches(name, known, n=1))


def what_became_of(old: str, prefix: str = "") -> str:
    """The verb of a sentence about an old name in `RENAMED`; a prefix for the current names."""
    new = " and ".join(prefix + name for name in RENAMED[old])
    return f"is now called {new}" if new else "no longer exists"


def describe_type(annotation: Any) -> str:
    """The values that a field accepts, in words that end an error message."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if isinstance(annotation, types.UnionType):
        return " or ".join(map(describe_type, arguments))
    if typing.get_origin(annotation) is tuple:
        if dataclasses.is_dataclass(arguments[0]):
            names = ", ".join(field.name for field in dataclasses.fields(arguments[0]))
            return f"a tuple of dicts with {names}"
        if typing.get_origin(arguments[0]) is tuple:
            return "a tuple of tuples such as '((8,), (16, 32))'"
        many = "any number of" if arguments[-1] is Ellipsis else str(len(arguments))
        return f"{many} {arguments[0].__name__} values"
    return "True or False" if annotation is bool else annotation.__name__


def convert(value: Any, annotation: Any) -> Any:
    """Convert a plain Python or JSON value to the annotated type.

    Lists become tuples, ints are accepted as floats, and the dataclasses in a tuple may be dicts.

    Raises:
        ValueError: the value has the wrong type, or a tuple the wrong length.
    """
    arguments = typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        try:
            kind = typing.cast(type, annotation)
            if isinstance(value, kind):
                value = dataclasses.asdict(value)
            return config_from_dict({**dataclasses.asdict(kind()), **value}, kind)
        except TypeError:
            raise ValueError(f"{value!r} is not a dict") from None
        except ConfigError as error:
            raise ValueError(str(error)) from None
    if isinstance(annotation, types.UnionType):
        return _convert_to_any(value, annotation)
    if typing.get_origin(annotation) is Literal:
        fits = isinstance(value, str) and value in arguments
        constructor = str
    elif typing.get_origin(annotation) is tuple:
        if not isinstance(value, tuple | list):
            raise ValueError(f"{value!r} is not a tuple")
        if arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        return tuple(convert(item, kind) for item, kind in zip(value, arguments, strict=True))
    else:
        accepted = (int, float) if annotation is float else annotation
        fits = isinstance(value, accepted) and isinstance(value, bool) == (annotation is bool)
        constructor = annotation
    if not fits:
        raise ValueError(f"{value!r} is not {describe_type(annotation)}")
    try:
        return constructor(value)
    except OverflowError:
        raise ValueError("a whole number of hundreds of digits is not a float") from None


def _convert_to_any(value: Any, annotation: Any) -> Any:
    """Convert a value to the first member of a union that it fits."""
    for member in typing.get_args(annotation):
        with contextlib.suppress(ValueError):
            return convert(value, member)
    raise ValueError(f"{value!r} is not {describe_type(annotation)}")


def config_to_dict(config: Config) -> dict[str, Any]:
    """The config as nested dicts of plain values."""
    return dataclasses.asdict(config)


def config_from_dict(tree: Any, kind: Any = Config, prefix: str = "") -> Any:
    """The inverse of `config_to_dict`; groups in `UNKEPT` may be missing and get their defaults.

    Raises:
        ConfigError: a field is unknown, missing or of the wrong type.
    """
    annotations = typing.get_type_hints(kind)
    if not isinstance(tree, dict):
        group = prefix.rstrip(".") or "config"
        raise ConfigError(f"{group}={_shown(tree)} is invalid: expected a group of fields")
    for name in [*tree, *annotations]:
        if name not in annotations:
            raise ConfigError(f"unknown field {prefix}{name[:LONGEST]}")
        if name not in tree and prefix + name not in UNKEPT:
            raise ConfigError(f"missing field {prefix}{name}")
    return kind(**{name: _field(tree[name], annotations[name], prefix + name) for name in tree})


def _shown(value: Any) -> str:
    """A value for an error; of a long one the beginning."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _field(value: Any, annotation: Any, name: str) -> Any:
    if dataclasses.is_dataclass(annotation):
        return config_from_dict(value, annotation, f"{name}.")
    try:
        return convert(value, annotation)
    except ValueError:
        raise ConfigError(
            f"{name}={_shown(value)} is invalid: expected {describe_type(annotation)}"
        ) from None


def config_to_json(config: Config) -> str:
    """The config as indented JSON, with every field except the groups in `UNKEPT`."""
    kept = {name: x for name, x in config_to_dict(config).items() if name not in UNKEPT}
    return json.dumps({"format_version": FORMAT_VERSION, **kept}, indent=2) + "\n"


def config_from_json(text: str, source: str = "config.json") -> Config:
    """The inverse of `config_to_json`; also reads files written by earlier versions.

    Fields that are newer than the file have their defaults; `read_config_json` names them.

    Args, raises, warns: see `read_config_json`.
    """
    return read_config_json(text, source)[0]


def read_config_json(text: str, source: str = "config.json") -> tuple[Config, list[str]]:
    """The config in a config.json, and the fields that did not exist when it was written.

    Args:
        text: contents of the file.
        source: name of the file, for the warning.

    Raises:
        ConfigError: the text is not JSON, was written by a newer version, or a field is unknown,
            missing or of the wrong type.

    Warns:
        FutureWarning: the file uses old field names; gives the current ones.
    """
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON: {error}") from None
    except RecursionError:
        raise ConfigError("not a config: its JSON nests too deeply") from None
    version = tree.pop("format_version", 1) if isinstance(tree, dict) else FORMAT_VERSION
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ConfigError(
            f"format_version={str(version)[:LONGEST]} was written by a newer version of jaxrcnn; "
            f"this one reads up to {FORMAT_VERSION}: install the newer version"
        )
    added = []
    if isinstance(tree, dict):
        renamed = [name for name in RENAMED if _rename(tree, name)]
        if renamed:
            changes = ", ".join(f"{name} {what_became_of(name)}" for name in renamed)
            warnings.warn(f"{source}: {changes}", FutureWarning, stacklevel=2)
        if version < FORMAT_VERSION:
            added = _add_missing(tree, config_to_dict(Config()))
    return config_from_dict(tree), added


def _rename(tree: dict[str, Any], old: str) -> bool:
    """Rename, split or drop a value in its group of nested dicts; False if there is none."""
    *groups, name = old.split(".")
    group: Any = tree
    for each in groups:
        group = group.get(each) if isinstance(group, dict) else None
    if not isinstance(group, dict) or name not in group:
        return False
    value = group.pop(name)
    group.update({new.rpartition(".")[2]: value for new in RENAMED[old]})
    return True


def _add_missing(tree: dict[str, Any], defaults: dict[str, Any], prefix: str = "") -> list[str]:
    """Give the fields that a group lacks their defaults, and return their dotted names.

    Groups that every version had stay missing.
    """
    added = []
    for name, default in defaults.items():
        if prefix + name in NEW_GROUPS:
            tree.setdefault(name, {})
        if not isinstance(default, dict):
            if name not in tree:
                tree[name] = default
                added.append(prefix + name)
        elif isinstance(tree.get(name), dict):
            added += _add_missing(tree[name], default, f"{prefix}{name}.")
    return added


def config_differences(there: Config, here: Config) -> list[str]:
    """A line for every field that differs, such as ``train.steps is 1000 there, 2000 here``.

    Differences in the groups in `UNKEPT` do not count.
    """
    theirs, ours = field_values(there), field_values(here)
    return [
        f"{name} is {theirs[name]!r} there, {ours[name]!r} here"
        for name in ours
        if theirs[name] != ours[name] and name.split(".")[0] not in UNKEPT
    ]

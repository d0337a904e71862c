"""The variants to compare, from the command line of `python -m jaxrcnn study`."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxrcnn import validation
from jaxrcnn.cli.arguments.study import Sweep
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.cli.values import read_value
from jaxrcnn.config import Config, ConfigError, DiagnosticsConfig
from jaxrcnn.config_io import describe_type, field_types
from jaxrcnn.study.schemes import SCHEMES
from jaxrcnn.study.variants import (
    Variant,
    changed,
    check_variants,
    full_name,
    joined,
    short_name,
    shown,
)
from jaxrcnn.training.pieces import Build

PIECES = "pieces"
"""What --vary takes besides the fields."""
NONE = "none"
"""Of these, the library's own."""


def find_variants(base: Config, arguments: argparse.Namespace) -> tuple[Variant, ...]:
    """Schemes and named variants, each combined with all values that vary.

    Raises:
        ConfigError: a field is unknown, a value or a variant's config is invalid, two variants are
            the same, or the options cannot be combined.
    """
    build = find_build(arguments.pieces)
    if arguments.sweep is not None:
        if arguments.variant or arguments.vary:
            raise ConfigError("--sweep cannot be combined with --variant or --vary")
        variants = _sweep(base, arguments.sweep, build)
    else:
        variants = _named(base, arguments, build)
        for text in arguments.vary:
            variants = _varied(variants, text, arguments.pieces is not None)
    check_variants(variants)
    for variant in variants:
        try:
            validation.check(variant.config)
        except ConfigError as error:
            raise ConfigError(f"{variant.name}: {error}" if variant.name else str(error)) from None
    return tuple(variants)


def _named(base: Config, arguments: argparse.Namespace, build: Build) -> list[Variant]:
    """Schemes and variants with a name; without any, all schemes, or the config if that varies."""
    names = arguments.schemes
    if names is None and not arguments.variant:
        if arguments.vary:
            return [Variant("", base, build)]
        names = tuple(SCHEMES)
    found = [Variant(name, SCHEMES[name](base), build) for name in names or ()]
    plain = Variant("", base, build)
    for name, *changes in arguments.variant:
        if "=" in name:
            raise ConfigError(f"--variant {name}: expected a name before FIELD=VALUE")
        found.append(_with_changes(plain, name, changes))
    return found


def _with_changes(variant: Variant, name: str, changes: Sequence[str]) -> Variant:
    """The variant with this name and each FIELD=VALUE; the field may be pieces."""
    option = f"--variant {name}"
    fields: dict[str, Any] = {}
    for text in changes:
        given, equals, word = text.partition("=")
        if not equals:
            raise ConfigError(f"{option}: got {text!r}, expected FIELD=VALUE")
        field = PIECES if given == PIECES else _field(given, option)
        if field in fields:
            raise ConfigError(f"{option}: {field} is given twice")
        is_pieces = field == PIECES
        fields[field] = _find_build(word, option) if is_pieces else _read(given, word, option)
    variant = variant._replace(build=fields.pop(PIECES, variant.build))
    return _changed(variant, name, fields, option)


def _changed(variant: Variant, label: str, fields: Mapping[str, Any], option: str) -> Variant:
    try:
        return changed(variant, label, fields)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def _field(name: str, option: str) -> str:
    """The dotted name of a field.

    Raises:
        ConfigError: there is none, or the name may mean several.
    """
    try:
        return full_name(name)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def _read(name: str, word: str, option: str) -> Any:
    kind = field_types()[_field(name, option)]
    try:
        return read_value([word], kind)
    except ValueError:
        raise ConfigError(
            f"{option}: {name} got {word!r}, expected {describe_type(kind)}"
        ) from None


def _varied(variants: Sequence[Variant], text: str, has_pieces: bool) -> list[Variant]:
    """Each variant with each of the values that FIELD=VALUE,VALUE gives a field."""
    name, equals, listed = text.partition("=")
    option, words = f"--vary {name}", split_values(listed)
    if not (equals and name):
        raise ConfigError(f"--vary {text}: expected FIELD=VALUE,VALUE")
    if name == PIECES:
        if has_pieces:
            raise ConfigError("--pieces cannot be combined with --vary pieces")
        builds = _builds(words, option)
        return [
            variant._replace(name=joined(variant.name, f"{PIECES}={label}"), build=build)
            for variant in variants
            for label, build in builds
        ]
    field, values = _field(name, option), [_read(name, word, option) for word in words]
    return [
        _changed(variant, f"{short_name(field)}={shown(value)}", {field: value}, option)
        for variant in variants
        for value in values
    ]


def _find_build(word: str, option: str) -> Build:
    return find_build(None if word == NONE else word, option)


def _builds(words: Sequence[str], option: str) -> list[tuple[str, Build]]:
    """What builds each of the detectors, with the last word of its name if that tells it apart."""
    last = [word.rpartition(":")[2] for word in words]
    labels = last if len(set(last)) == len(set(words)) else words
    return [(x, _find_build(word, option)) for x, word in zip(labels, words, strict=True)]


def split_values(text: str) -> list[str]:
    """The values between commas; those inside of brackets or quotes are parts of a value.

    Quotes around a whole value are left out.
    """
    words, start, depth, quote = [], 0, 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            words.append(text[start:place])
            start = place + 1
    return [_unquoted(word) for word in [*words, text[start:]]]


def _unquoted(word: str) -> str:
    is_quoted = len(word) > 1 and word[0] in "'\"" and word.find(word[0], 1) == len(word) - 1
    return word[1:-1] if is_quoted else word


def _sweep(base: Config, sweep: Sweep, build: Build) -> list[Variant]:
    field, values = sweep
    return [
        Variant(f"{field}={value:g}", _with_gate(base, field, value), build) for value in values
    ]


def _with_gate(config: Config, field: str, width: float) -> Config:
    """Joint training with a gate of this width; the other is as the config has it.

    Without diagnostics, which would take each gradient of every width at once.
    """
    proposals = replace(config.model.proposals, stop_gradient=False, **{field: width})
    return replace(
        config,
        model=replace(config.model, proposals=proposals),
        train=replace(config.train, scheme="joint", diagnostics=DiagnosticsConfig()),
    )

"""Flags and their values; what is wrong with one is said in a line that names it."""

import difflib
import pathlib
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrcnn.cli.values import ConfigSource, read_value
from jaxrcnn.config import ConfigError
from jaxrcnn.config_io import RENAMED, describe_type, field_types, what_became_of
from jaxrcnn.peer_fields import peer_hint

PREFIX = "--config."
"""How the flag of a field begins."""

Flag = tuple[str, list[str]]
"""A flag and the words after it, such as ("--config.train.steps", ["2000"])."""


def field_flags() -> dict[str, Any]:
    """The flag of every field, and the field's type."""
    return {PREFIX + name: kind for name, kind in field_types().items()}


def split_flags(argv: Sequence[str]) -> list[Flag]:
    """Every flag with its words; earlier names are replaced, and a note says so.

    Words before the first flag come under an empty name. A flag may be written with dashes in place
    of underscores, and with an equals sign before its first word. Negative numbers are words.
    """
    flags: list[Flag] = []
    for word in map(_renamed, argv):
        if re.match(r"--|-[a-zA-Z]", word):
            name, equals, value = word.partition("=")
            flags.append((name[:2] + name[2:].replace("-", "_"), [value] if equals else []))
        else:
            if not flags:
                flags.append(("", []))
            flags[-1][1].append(word)
    return flags


def _renamed(word: str) -> str:
    """The flag of a field by its present name; an earlier name is said to be one."""
    flag, equals, value = word.partition("=")
    fields = RENAMED.get(flag.removeprefix(PREFIX).replace("-", "_"), ())
    if len(fields) != 1 or not flag.startswith(PREFIX):
        return word
    print(f"note: {flag} is now called {PREFIX}{fields[0]}", file=sys.stderr)
    return f"{PREFIX}{fields[0]}{equals}{value}"


def read_flags(flags: Sequence[Flag], types: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each flag that is given; of one that is given twice, the last.

    Args:
        flags: from `split_flags`.
        types: every flag that is known, and what `read_value` takes for it.

    Raises:
        ConfigError: a flag is unknown, or its words are of another type.
    """
    values = {}
    for flag, words in flags:
        if not flag:
            raise ConfigError(
                f"unexpected {_quoted(words)}; fields are set by --config.FIELD VALUE"
            )
        if flag not in types:
            raise ConfigError(f"unknown field {flag}; {_hint(flag, types)}")
        try:
            values[flag] = read_value(words, types[flag])
        except ValueError:
            takes = _takes(types[flag], words)
            raise ConfigError(f"{flag}: got {_quoted(words)}, expected {takes}") from None
    return values


def _quoted(words: Sequence[str]) -> str:
    return f"'{' '.join(words)}'" if words else "nothing"


def _takes(kind: Any, words: Sequence[str]) -> str:
    """What the flag takes and, of a choice, the nearest to what was typed."""
    if kind in (pathlib.Path, ConfigSource):
        return "a path" if kind is pathlib.Path else "a name or a file"
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    nearest = difflib.get_close_matches(" ".join(words), choices, n=1)
    return describe_type(kind) + "".join(f" (nearest: {choice})" for choice in nearest)


def _hint(flag: str, known: Mapping[str, Any]) -> str:
    """What became of an old name, what a peer's is here, the nearest flag, or the group's."""
    if (old := flag.removeprefix(PREFIX)) in RENAMED:
        return f"it {what_became_of(old, PREFIX)}"
    members = [name for name in known if name.startswith(f"{flag}.")]
    if members:
        return "it is a group of " + ", ".join(member[len(flag) :] for member in members)
    fields = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    if hint := peer_hint(flag.removeprefix(PREFIX), fields, PREFIX):
        return hint
    best = max(known, key=lambda name: (_likeness(_last(flag), _last(name)), _likeness(flag, name)))
    group = flag.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == group != "--config"]
    if _likeness(_last(flag), _last(best)) >= 0.6:
        return f"did you mean {best}?"
    if group and siblings:
        return f"{group} has " + ", ".join(map(_last, siblings))
    return "`jaxrcnn train --help-all` lists all fields"


def _last(flag: str) -> str:
    return flag.removeprefix("--").rpartition(".")[2]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()

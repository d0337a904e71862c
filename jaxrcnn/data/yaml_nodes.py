"""YAML without its guesses: every value is the text that is written, so that `no` is a name.

Only nodes are made, not values: aliases of aliases cost nothing, and no object is built.
"""

import itertools
import re
import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml.nodes import Node

MOST_CHARACTERS = 1_000_000
"""Longer texts are not parsed, which takes about a second for 100,000 characters."""

DEEPEST = 200
"""Brackets that may be open at once: each level costs the parser time for every token in it."""

NOTHING = ("", "~", "null", "Null", "NULL")


def parse_yaml(text: str) -> "Node | None":
    """The root node of a document; None where it is empty.

    Raises:
        ValueError: the text is not YAML, or longer than `MOST_CHARACTERS`.
    """
    import yaml

    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS} characters")
    if _depth(text) > DEEPEST:
        raise ValueError("it is not YAML (it is nested too deeply)")
    try:
        return yaml.compose(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"it is not YAML ({place}{error.problem})") from error
    except RecursionError as error:
        raise ValueError("it is not YAML (it is nested too deeply)") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(f"it is not YAML ({str(error).splitlines()[0]})") from error


def _depth(text: str) -> int:
    """Brackets that are open at once, at most; those in strings count too."""
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[\[\]{}]", text))
    return max(itertools.accumulate(steps), default=0)


def mapping(node: "Node | None", name: str) -> "dict[str, Node]":
    """The entries of a mapping; ValueError where it is none, or has a key twice."""
    from yaml.nodes import MappingNode

    if not isinstance(node, MappingNode):
        raise ValueError(f"{name} is not a mapping of names to values")
    entries: dict[str, Node] = {}
    for key, value in node.value:
        written = scalar(key, f"a key of {name}")
        if written in entries:
            raise ValueError(f"{name} has the key {reprlib.repr(written)} twice")
        entries[written] = value
    return entries


def sequence(node: "Node", name: str) -> "list[Node]":
    """The entries of a list; ValueError where it is none."""
    from yaml.nodes import SequenceNode

    if not isinstance(node, SequenceNode):
        raise ValueError(f"{name} is not a list")
    return node.value


def scalar(node: "Node", name: str) -> str:
    """The text of a value, without blanks around; ValueError where it is a list or a mapping."""
    from yaml.nodes import ScalarNode

    if not isinstance(node, ScalarNode):
        raise ValueError(f"{name} is not a single value")
    return node.value.strip()


def is_mapping(node: "Node | None") -> bool:
    """Whether a node maps keys to values."""
    from yaml.nodes import MappingNode

    return isinstance(node, MappingNode)


def is_sequence(node: "Node | None") -> bool:
    """Whether a node is a list."""
    from yaml.nodes import SequenceNode

    return isinstance(node, SequenceNode)


def is_nothing(node: "Node | None") -> bool:
    """Whether no value is written, or null."""
    from yaml.nodes import ScalarNode

    if node is None:
        return True
    return isinstance(node, ScalarNode) and node.style is None and node.value in NOTHING

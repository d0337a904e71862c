"""The card of a Hugging Face data set, README.md: its YAML may name the classes."""

import os
from typing import TYPE_CHECKING

from jaxrcnn.data.annotated import lines_of
from jaxrcnn.data.text import read_text
from jaxrcnn.data.yaml_nodes import is_mapping, is_sequence, mapping, parse_yaml, scalar, sequence

if TYPE_CHECKING:
    from yaml.nodes import Node

FENCE = "---"


def read_class_names(root: str) -> tuple[str, ...]:
    """The names of the classes by number, from dataset_info of README.md.

    Empty where there is no card, it is not understood, or has other than one list of names.
    """
    try:
        text = read_text(os.path.join(root, "README.md"))
    except (OSError, UnicodeDecodeError):
        return ()
    lines = lines_of(text)
    if lines[0] != FENCE or FENCE not in lines[1:]:
        return ()
    end = lines.index(FENCE, 1)
    try:
        card = mapping(parse_yaml("\n".join(text.replace("\r\n", "\n").split("\n")[1:end])), "it")
        lists = list(dict.fromkeys(_lists_of_names(card.get("dataset_info"), set())))
    except (ValueError, RecursionError):
        return ()
    return lists[0] if len(lists) == 1 else ()


def _lists_of_names(node: "Node | None", seen: set[int]) -> "list[tuple[str, ...]]":
    """All lists of names that a class_label below a node has; each node is looked at once."""
    if node is None or id(node) in seen:
        return []
    seen.add(id(node))
    if is_sequence(node):
        return [found for item in sequence(node, "it") for found in _lists_of_names(item, seen)]
    if not is_mapping(node):
        return []
    found: list[tuple[str, ...]] = []
    for key, value in mapping(node, "it").items():
        if key == "class_label" and is_mapping(value):
            found.append(_names(mapping(value, key).get("names")))
        else:
            found += _lists_of_names(value, seen)
    return found


def _names(node: "Node | None") -> tuple[str, ...]:
    """The names of a class_label: a list, or a mapping of '0', '1', ... to names."""
    if is_mapping(node):
        entries = mapping(node, "names")
        numbers = [str(place) for place in range(len(entries))]
        if set(entries) != set(numbers):
            raise ValueError("names are not numbered from 0")
        return tuple(scalar(entries[number], "a name") for number in numbers)
    if node is not None and is_sequence(node):
        return tuple(scalar(item, "a name") for item in sequence(node, "names"))
    raise ValueError("names is neither a list nor a mapping")

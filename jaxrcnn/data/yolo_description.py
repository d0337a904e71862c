"""What describes a data set in YOLO's format, and what a data.yaml says."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jaxrcnn.data.errors import quoted
from jaxrcnn.data.splits import is_split
from jaxrcnn.data.written import written_name
from jaxrcnn.data.yaml_nodes import (
    is_mapping,
    is_nothing,
    is_sequence,
    mapping,
    parse_yaml,
    scalar,
    sequence,
)

if TYPE_CHECKING:
    from yaml.nodes import Node

CLASS_ID = re.compile(r"[0-9]{1,9}")


class Description(NamedTuple):
    """The classes and splits of a data set."""

    file: str  # that says so, for errors: a file, or the folder
    names: dict[int, str]  # by the number of the class, ascending
    splits: dict[str, tuple[str, ...]]  # folders of images, and lists, as written
    path: str = ""  # folder that they are relative to, as written
    keypoint_numbers: int = 0  # on a line behind the box


def parse_description(file: str, text: str) -> Description:
    """What a data.yaml says.

    Raises:
        ValueError: it is not YAML, or says something else than a data set's should.
    """
    entries = mapping(parse_yaml(text), "the file")
    if "task" in entries and scalar(entries["task"], "task").lower() == "obb":
        raise ValueError("task is obb: oriented boxes are not supported")
    names = _names(entries.get("names"))
    if not is_nothing(entries.get("nc")):
        nc = scalar(entries["nc"], "nc")
        if nc not in (str(len(names)), str(max(names) + 1)):
            raise ValueError(f"nc is {nc}, but names has {len(names)}")
    splits = {key: _paths(entries[key], key) for key in entries if is_split(key)}
    return Description(
        file,
        names,
        {key: paths for key, paths in splits.items() if paths},
        "" if is_nothing(entries.get("path")) else scalar(entries["path"], "path"),
        _keypoint_numbers(entries.get("kpt_shape")),
    )


def describes_splits(text: str) -> tuple[str, ...] | None:
    """The splits that a YAML file names, if it is a data.yaml: it has names, and where images are.

    None where it is something else, such as settings of a training program, or no YAML at all.
    """
    try:
        entries = mapping(parse_yaml(text), "the file")
    except ValueError:
        return None
    splits = tuple(key for key in entries if is_split(key) and not is_nothing(entries[key]))
    return splits if splits and "names" in entries else None


def _names(node: "Node | None") -> dict[int, str]:
    """Names by class number, from a list or a mapping."""
    if is_nothing(node) or node is None:
        raise ValueError("there are no class names (names)")
    if is_mapping(node):
        numbered = mapping(node, "names")
        for key in numbered:
            if not CLASS_ID.fullmatch(key):
                raise ValueError(f"names has the key '{key[:40]}', which is not a class number")
        nodes = {int(key): value for key, value in numbered.items()}
        if len(nodes) < len(numbered):
            raise ValueError("names has the same number twice")
    elif is_sequence(node):
        nodes = dict(enumerate(sequence(node, "names")))
    else:
        raise ValueError("names is neither a list nor a mapping of numbers to names")
    names = {key: scalar(nodes[key], f"name {key} of names") for key in sorted(nodes)}
    return check_names(names)


def check_names(names: dict[int, str]) -> dict[int, str]:
    """The names of classes; ValueError where there are none, one is blank or one comes twice."""
    if not names:
        raise ValueError("there are no class names")
    names = {key: written_name(name, f"the name of class {key}") for key, name in names.items()}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise ValueError(f"more than one class is named {quoted(twice)}")
    return names


def _paths(node: "Node", key: str) -> tuple[str, ...]:
    """The folders or lists of a split, as written; none where it is left empty."""
    if is_nothing(node):
        return ()
    nodes: Iterable[Node] = sequence(node, key) if is_sequence(node) else (node,)
    return tuple(written_name(scalar(each, f"a path of {key}"), key) for each in nodes)


def _keypoint_numbers(node: "Node | None") -> int:
    """How many numbers of keypoints a line has, from kpt_shape: [17, 3]."""
    if node is None or is_nothing(node):
        return 0
    shape = [scalar(each, "kpt_shape") for each in sequence(node, "kpt_shape")]
    if len(shape) != 2 or not CLASS_ID.fullmatch(shape[0]) or shape[1] not in ("2", "3"):
        raise ValueError(f"kpt_shape is {_shown(shape)}, not a number of points and 2 or 3")
    return int(shape[0]) * int(shape[1])


def _shown(values: Sequence[str]) -> str:
    return f"[{', '.join(value[:20] for value in values[:4])}]"

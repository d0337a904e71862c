"""What a peer calls each of our arrays, and how its arrays lie."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.interop.layouts import Layout

Rules = tuple[tuple[str, str], ...]
"""Regular expressions for whole names, and what takes their place."""

Tensors = Mapping[str, np.ndarray]
"""A state dict."""


class Peer(NamedTuple):
    """A family of weight files. A path of ours is such as ``backbone/body/conv1/kernel``."""

    title: str
    name_of: Callable[[str, ModelConfig], str | None]  # None: it has no such array
    layout_of: Callable[[str, ModelConfig], Layout]
    modernise: Callable[[Tensors, ModelConfig], Tensors]  # to the names and shapes of today
    skipped: tuple[str, ...]  # patterns of what our detector has no use for
    trained_with: Callable[[ModelConfig], Mapping[str, Any]]
    """Fields of the model, by dotted name, that are not in a file and that its weights are for."""
    kept: tuple[str, ...] = ()  # patterns, among those, of what goes back with our arrays
    complete: Callable[[Tensors, Tensors, ModelConfig], Tensors] | None = None
    """Ours by their names, and what was kept -> a state dict; None: there is no way back."""


def rename(name: str, rules: Rules) -> str | None:
    """The name by the first rule that fits; None where none does."""
    for pattern, replacement in rules:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(replacement)
    return None


def fits_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether the whole name is of one of the patterns."""
    return any(re.fullmatch(pattern, name) for pattern in patterns)

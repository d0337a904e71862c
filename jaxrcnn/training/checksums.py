"""CRC32C checksums of arrays, which tell that what is read is what was written."""

import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn.opening import open_file

CHUNK = 1 << 20
"""Bytes of a file that are in memory at a time."""


class Checksum(NamedTuple):
    """What is known of an array's bytes."""

    crc32c: str  # eight hexadecimal digits, of the bytes in C order
    dtype: str
    shape: list[int]


def checksum(array: Any) -> Checksum:
    """The checksum of an array, on a device or in host memory.

    Raises:
        ValueError: other processes hold parts of it.
    """
    if not getattr(array, "is_fully_addressable", True):
        raise ValueError("an array of which other processes hold parts has no checksum here")
    host = np.ascontiguousarray(array)
    # As bytes: the types of ml_dtypes have no buffers of their own.
    crc = _crc32c([host.reshape(-1).view(np.uint8)])
    return Checksum(crc, host.dtype.name, list(np.shape(array)))


def checksums(tree: Any) -> dict[str, Checksum]:
    """The checksums of a tree's arrays, by dotted path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {leaf_name(path): checksum(leaf) for path, leaf in leaves}


def first_difference(tree: Any, sums: Mapping[str, Checksum]) -> str:
    """What is wrong with the first array that differs from its checksum; empty if none does.

    Args:
        tree: of arrays, or of an Ellipsis where one was not read.
        sums: by dotted path; those of arrays that are not in the tree do not matter.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = leaf_name(path)
        if leaf is ...:
            continue
        if name not in sums:
            return f"{short_name(name)} has no checksum"
        if checksum(leaf) != sums[name]:
            return f"{short_name(name)} does not match its checksum"
    return ""


def file_checksum(path: pathlib.Path) -> str:
    """The checksum of a file's content, eight hexadecimal digits."""
    with open_file(path) as file:
        return _crc32c(iter(lambda: file.read(CHUNK), b""))


def text_checksum(text: str) -> str:
    """The checksum of a text, eight hexadecimal digits."""
    return _crc32c([text.encode()])


def _crc32c(pieces: Iterable[Any]) -> str:
    import google_crc32c  # only now: much that needs no checkpoint imports this module

    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return f"{crc:08x}"


def leaf_name(path: Any) -> str:
    """The dotted path of an array in a tree, from jax' path."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def short_name(name: str) -> str:
    """A dotted path for a message, without the names of optax' records around records."""
    return re.sub(r"\binner_states?\.", "", name)

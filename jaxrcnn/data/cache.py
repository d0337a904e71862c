"""What was read of large files, kept for the next time; nothing depends on its being there."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from jaxrcnn.runtime.cache import user_cache

T = TypeVar("T")

MOST = 2**31
"""Bytes of all files; those that were used the longest ago go first."""


def load(kind: str, key: str, use: Callable[[dict[str, np.ndarray]], T]) -> T | None:
    """What is made of the arrays under a key; None where they are not there, or not whole.

    Args:
        kind: of what is stored, and the version of what wrote it.
        key: a digest of all that it was made of.
        use: makes something of the arrays; may raise where they are not what was stored.
    """
    folder = _folder()
    if folder is None:
        return None
    path = folder / f"{kind}-{key}.npz"
    # A file that is missing, torn or of another kind is made again; zip has a sum of each array.
    with contextlib.suppress(Exception), open(path, "rb") as stream:
        with np.load(stream, allow_pickle=False) as stored:
            made = use({name: stored[name] for name in stored.files})
        os.utime(path)
        return made
    return None


def store(kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays under a key, whole or not at all, where there is a place for them."""
    folder = _folder()
    if folder is None:
        return
    partial = folder / f".{kind}-{key}.{os.getpid()}"
    try:
        with open(partial, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        partial.replace(folder / f"{kind}-{key}.npz")
        _drop_oldest(folder)
    except OSError:  # full, or not to be written to
        return
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _folder() -> pathlib.Path | None:
    """JAXRCNN_DATA_CACHE=false keeps nothing."""
    if os.environ.get("JAXRCNN_DATA_CACHE", "").lower() in ("0", "false"):
        return None
    try:
        folder = user_cache() / "data"
        folder.mkdir(parents=True, exist_ok=True)
    except (ImportError, OSError, RuntimeError):
        return None
    return folder


def _drop_oldest(folder: pathlib.Path) -> None:
    # Also what a process that was killed has begun.
    files = sorted(folder.iterdir(), key=lambda file: -file.stat().st_mtime)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MOST and file != files[0]:
            file.unlink(missing_ok=True)

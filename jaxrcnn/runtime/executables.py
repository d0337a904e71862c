"""Executables of programs that this package alone defines, read back without tracing.

jax's persistent cache is found by the traced program, so that it saves the compiler's time and not
Python's, and it is a setting of the whole process. Here a program is found by a description of
it, in files of our own.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import pickle
import re
from collections.abc import Callable
from typing import Any

import jax

from jaxrcnn.runtime.compilation import cache_folder, is_private, make_private

NO_MATTER = re.compile("_(cache|log|logging|dump)(_|$)")
"""In the names of jax's settings that change no program."""

MOST = 64
"""Files; those that were used the longest ago go first."""


def load_or_compile(description: str, lower: Callable[[], Any]) -> Any:
    """A compiled program, from an earlier process where it can be.

    The version of this package, its sources, jax and the devices are part of what it is found by.
    Nothing is kept where JAX_ENABLE_COMPILATION_CACHE=false, nor where there is no place for it.

    Args:
        description: all that decides what the program computes, and for which shapes.
        lower: traces it, where it is not there: a `jax.stages.Lowered`.

    Returns:
        A `jax.stages.Compiled`.
    """
    path = _path_of(description)
    if path is None:
        return lower().compile()
    # A file that is missing, torn or of another jax is made again.
    with contextlib.suppress(Exception):
        return _read(path)
    hits = _hits()
    before = len(hits)
    compiled = lower().compile()
    # What jax's own cache gave cannot be written once more: XLA leaves its functions out.
    if len(hits) == before:
        with contextlib.suppress(Exception):  # not every backend can write its programs
            _write(path, compiled)
    return compiled


@functools.cache  # a listener stays for good
def _hits() -> list[str]:
    """The programs that jax's own cache gave so far, one entry each."""
    hits: list[str] = []

    def note(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            hits.append(event)

    jax.monitoring.register_event_listener(note)
    return hits


def _path_of(description: str) -> pathlib.Path | None:
    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return None
    try:
        folder = cache_folder() / "executables"
        make_private(folder)
    except (ImportError, OSError):
        return None
    devices = [(x.platform, x.device_kind, x.id) for x in jax.local_devices()]
    words = (description, _sources(), importlib.metadata.version("jaxlib"), jax.__version__)
    # Any other setting may change what is computed.
    settings = [
        os.environ.get("XLA_FLAGS", ""),
        *(
            (name, getattr(jax.config, name, default))  # as it is in this thread
            for name, default in sorted(jax.config.values.items())
            if not NO_MATTER.search(name)
        ),
    ]
    digest = hashlib.sha256(repr((words, settings, devices)).encode()).hexdigest()
    return folder / f"{digest[:40]}.bin"


@functools.cache
def _sources() -> str:
    """A digest of this package's sources: an edit of them is another program."""
    digest = hashlib.sha256()
    root = pathlib.Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: pathlib.Path) -> Any:
    """The program in a file. A pickle is a program too: only one that this user wrote is read."""
    from jax.experimental.serialize_executable import deserialize_and_load

    if not is_private(path):
        raise PermissionError(path)
    compiled = deserialize_and_load(*pickle.loads(path.read_bytes()))
    os.utime(path)
    return compiled


def _write(path: pathlib.Path, compiled: Any) -> None:
    """Write a file, whole or not at all, and drop the oldest beyond `MOST`."""
    from jax.experimental.serialize_executable import serialize

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.touch(0o600, exist_ok=False)
        partial.write_bytes(pickle.dumps(serialize(compiled)))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    files = sorted(path.parent.glob("*.bin"), key=lambda file: -file.stat().st_mtime)
    for old in files[MOST:]:
        old.unlink(missing_ok=True)

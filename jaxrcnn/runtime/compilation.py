"""Compiled programs, kept between runs: jax's persistent compilation cache, on by default."""

import errno
import hashlib
import os
import pathlib
import platform
import re
import stat
import sys

from jaxrcnn.runtime.cache import user_cache
from jaxrcnn.runtime.machine import processors

MOST = 4 * 2**30
"""Bytes; those that were used the longest ago go first."""


OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def keep_compiled_programs() -> None:
    """Let jax keep what it compiles, for the next run of the same.

    A folder that is set already stays, such as that of JAX_COMPILATION_CACHE_DIR; and
    JAX_ENABLE_COMPILATION_CACHE=false keeps nothing. For programs, not for libraries: it sets jax's
    global config.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    try:
        folder = cache_folder()
    except ImportError:  # without platformdirs nobody says where a cache belongs
        return
    try:
        make_private(folder)
    except OSError as error:
        print(f"compiled programs are not kept: {folder} ({error.strerror})", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST)


def cache_folder() -> pathlib.Path:
    """The folder for this machine's programs: in $JAXRCNN_CACHE, or else in the user's cache.

    XLA compiles for the very processor, and a home is often shared by machines with several.
    """
    return user_cache() / "compiled" / processor_kind(processors())


def make_private(folder: pathlib.Path) -> None:
    """Make a folder, or see that it is this user's; others then cannot write into it.

    What is read from it is run as a program, so that nobody else may put anything there.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(folder):
        folder.chmod(folder.stat().st_mode & ~OTHERS_WRITE)
    if not is_private(folder):
        raise PermissionError(errno.EPERM, "belongs to another user", str(folder))


def is_private(path: pathlib.Path) -> bool:
    """Whether this user owns a file or folder, and nobody else may write to it."""
    status = path.stat()
    is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return is_own and (not status.st_mode & OTHERS_WRITE or os.name == "nt")


def processor_kind(description: str) -> str:
    """A short name for what a processor can do, of Linux's description of it."""
    abilities = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", description, re.MULTILINE)
    words = sorted(abilities[1].split()) if abilities else [platform.processor()]
    digest = hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]
    return f"{platform.machine()}-{digest}"

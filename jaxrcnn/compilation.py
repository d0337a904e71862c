"""How whole programs are compiled, and kept between runs by jax's persistent compilation cache."""

import hashlib
import os
import pathlib
import platform
import re
import sys
from collections.abc import Callable
from typing import Any

from jaxrcnn.machine import processors

MOST = 4 * 2**30
"""Bytes; those that were used the longest ago go first."""

LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
"""XLA's CPU backend would else begin every operation as early as it can, so that threads find
several at once; those of a detector use all threads each, and their results only lie in wait."""


def jit_program(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` with the same options, for a whole program: on a CPU it takes the least memory."""
    import jax

    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=LEAST_MEMORY if on_cpu else None, **options)


def keep_compiled_programs() -> None:
    """Let jax keep what it compiles, for the next run of the same.

    A folder that is set already stays, such as that of JAX_COMPILATION_CACHE_DIR; and
    JAX_ENABLE_COMPILATION_CACHE=false keeps nothing. For programs, not for libraries: it sets jax's
    global config.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"compiled programs are not kept: {folder} ({error.strerror})", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST)


def cache_folder() -> pathlib.Path:
    """The folder for this machine's programs: in $JAXRCNN_CACHE, or else in the user's cache.

    XLA compiles for the very processor, and a home is often shared by machines with several.
    """
    import platformdirs

    root = os.environ.get("JAXRCNN_CACHE") or platformdirs.user_cache_dir("jaxrcnn")
    return pathlib.Path(root) / "compiled" / processor_kind(processors())


def processor_kind(description: str) -> str:
    """A short name for what a processor can do, of Linux's description of it."""
    abilities = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", description, re.MULTILINE)
    words = sorted(abilities[1].split()) if abilities else [platform.processor()]
    digest = hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]
    return f"{platform.machine()}-{digest}"

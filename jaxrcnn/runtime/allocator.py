"""Memory of this process that is free: kept for the next step, or given back to the system."""

import ctypes
import functools
import sys
from typing import Any

# Parameters of glibc's mallopt(3).
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4

NEVER = -1
WHOLE_HEAP = 64 * 2**20
"""Bytes of a heap of a further thread: with so much left at its top, glibc unmaps none."""

COMPILED = "/jax/core/compile/backend_compile_duration"
"""What jax calls the end of a compilation to its listeners."""


@functools.cache  # a listener stays for good
def keep_freed_memory() -> None:
    """Keep what a step frees for the next step, and give back what a compiler frees.

    XLA's CPU backend takes all temporary memory of a step in one piece, and frees it after. glibc
    gives a piece of more than 32 MiB back to the system at once, so that every step waits for its
    pages to be made anew: up to a tenth of a step. Here it stays. A compiler's small pieces,
    1 GiB of them for a ResNet-50, would never go back by themselves; here they do after each
    compilation.

    Only the main thread's heap can grow beyond 64 MiB and keep what is larger, so XLA's CPU backend
    is told to begin programs in the thread that calls them. (One heap for all threads would do as
    well, but a compiler's threads then wait for each other.)

    For programs, not for libraries, and before jax has its first array: it holds for the process.
    Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is None:
        return
    import jax

    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, NEVER)
    libc.mallopt(TOP_PAD, WHOLE_HEAP)
    jax.config.update("jax_cpu_enable_async_dispatch", False)

    def give_back(event: str, duration_secs: float, **_: Any) -> None:
        # The memory of a small program is not worth the search.
        if event == COMPILED and duration_secs > 0.5:
            libc.malloc_trim(0)

    jax.monitoring.register_event_duration_secs_listener(give_back)


def _glibc() -> Any:
    """The C library's functions, where it is glibc."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None

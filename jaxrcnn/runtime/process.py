"""What a program sets for its whole process before it begins; a library must not."""

import gc
import io
import sys
import warnings
from typing import Any

from jaxrcnn.runtime.allocator import keep_freed_memory
from jaxrcnn.runtime.compilation import keep_compiled_programs

OBJECTS = 10_000
"""Python's own 700 are made every few operations that jax traces: a quarter of the time went by."""


def prepare_process() -> None:
    """Keep compiled programs and freed memory, look for garbage less often."""
    keep_compiled_programs()
    keep_freed_memory()
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])


def prepare_output() -> None:
    """Show warnings in one line, and write ``?`` for what stdout or stderr cannot encode."""
    warnings.formatwarning = _one_line
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _one_line(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> str:
    """A warning as users of a command read it: a `FutureWarning` is written for them."""
    kind = "note" if category is FutureWarning else category.__name__
    return f"{kind}: {' '.join(str(message).split())}\n"

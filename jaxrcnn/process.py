"""What a program sets for its whole process before it begins; a library must not."""

import gc

from jaxrcnn.allocator import keep_freed_memory
from jaxrcnn.compilation import keep_compiled_programs

OBJECTS = 10_000
"""Python's own 700 are made every few operations that jax traces: a quarter of the time went by."""


def prepare_process() -> None:
    """Keep compiled programs and freed memory, and look for garbage less often."""
    keep_compiled_programs()
    keep_freed_memory()
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])

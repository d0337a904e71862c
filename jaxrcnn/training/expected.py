"""Which errors end a program with a single line, and with which exit code."""

from jaxrcnn.training.errors import OF_DISKS


def expected(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code of an error that a user can do something about; else None."""
    if isinstance(error, OSError):
        is_of_disk = error.errno in OF_DISKS
        if error.errno is None or not (is_of_disk or error.filename is not None):
            return None
        what = error.filename or "writing a file"  # what is written to an open one has no name
        return f"{what}: {error.strerror}", 4 if is_of_disk else 2
    code = getattr(error, "exit_code", None)
    if code is not None:
        return str(error), code
    # Only now, since it loads jax, which not every program needs.
    from jaxrcnn.training.memory import describe_out_of_memory, is_out_of_memory

    return (describe_out_of_memory(error), 2) if is_out_of_memory(error) else None

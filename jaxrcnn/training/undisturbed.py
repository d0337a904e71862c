"""What a signal does not leave in the middle."""

import contextlib
import contextvars
from collections.abc import Iterator

UNDISTURBED = contextvars.ContextVar("undisturbed", default=False)
"""Whether a signal is to wait; see `jaxrcnn.training.interruption`."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A signal waits for the end of what is done inside.

    For code of others that would take the exception of a signal for an error of its own: orbax then
    says that a whole checkpoint is damaged.
    """
    token = UNDISTURBED.set(True)
    try:
        yield
    finally:
        UNDISTURBED.reset(token)

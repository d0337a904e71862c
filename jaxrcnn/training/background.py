"""Work beside training, one piece at a time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Does one piece of work at a time in a thread of its own.

    What a piece of work raises comes out of the next call of any method.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._begun: Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Begin a piece of work, once the one before is done."""
        self.wait()
        self._begun = self._thread.submit(work)

    def check(self) -> None:
        """Raise what the last piece of work has raised, without waiting for it."""
        if self._begun is not None and self._begun.done():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is left to do."""
        begun = self._begun
        if begun is None:
            return
        try:
            begun.result()
        finally:
            if begun.done():  # else the wait was interrupted
                self._begun = None

    def close(self) -> None:
        """Wait until nothing is left to do, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

"""A signal to one of several processes ends all of them after the same step.

Nothing is exchanged while no signal comes. Then each process says how many times it has checked,
and all go on until one more than the most; as jax does it for `reached_preemption_sync_point`.
While all are compiling the same program, they can abandon it instead.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

import jax

from jaxrcnn.training.hosts import client, next_key, several
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.peers import tell_at_once
from jaxrcnn.training.signals import wake_main_thread

T = TypeVar("T")

TICK = 0.25
"""Seconds between two looks at whether a signal came to another process."""
CLOSING = 10.0
"""Seconds to wait for an answer of the store that is no longer needed."""


def interruption_of_run(seconds: float) -> Interruption:
    """The interruption of a run: of all of its processes, where there are several."""
    return (SharedInterruption if several() else Interruption)(seconds)


class SharedInterruption(Interruption):
    """An `Interruption` of all processes; they check as often, at the same places.

    Processes can only stop together, since the others would wait for one that had left. They stop
    at once if all are in the same `leavable_together`, such as compilation, and otherwise at the
    check after the last one that any of them has done.
    """

    def __init__(self, seconds: float, say: Callable[[str], None] | None = None) -> None:
        super().__init__(seconds, say)
        self._asked_at = next_key("stop")  # that of an earlier run is still in the store
        self._checks, self._last_check = 0, None
        self._is_together = False  # at what can be left together, since the last check
        self._changed = threading.Condition()
        self._is_agreeing, self._closed = False, threading.Event()
        self._thread = threading.Thread(target=self._agree, daemon=True, name="agreement")

    def __enter__(self) -> Self:
        super().__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._closed.set()
        try:
            self._thread.join(CLOSING)
        finally:
            super().__exit__(*error)

    @contextlib.contextmanager
    def leavable(self) -> Iterator[None]:
        """A context that changes nothing: one process alone cannot leave."""
        yield

    @contextlib.contextmanager
    def leavable_together(self) -> Iterator[None]:
        """A context for work that ends for all processes together, so that all can abandon it."""
        with super().leavable():  # which checks
            self._is_together = True
            try:
                yield
                with self._changed:
                    self._wait_for_agreement()
                    self._is_together = False
                self._leave()
            finally:
                self._is_together = False

    def _give_up(self, number: int, why: str) -> None:
        tell_at_once(f"{why}, without saving")
        super()._give_up(number, why)

    def _pass_on(self) -> None:
        """All are done, and none is to fail the others."""

    def check(self) -> None:
        """See whether this is the check at which all end.

        Raises:
            Stop: it is.
        """
        with self._changed:
            self._wait_for_agreement()
            self._checks += 1
        self._leave()

    def _wait_for_agreement(self) -> None:
        while self._is_agreeing:
            self._changed.wait()

    def _leave(self) -> None:
        if self._last_check is not None and self._checks >= self._last_check:
            super().check()

    def _agree(self) -> None:
        """Wait for a signal to any process, and find the check at which all end."""
        asked = self._answer(self._find_signal)
        if asked is None:
            return
        with self._changed:
            self._is_agreeing = True
            own = f"{self._checks} {self._is_together:d}"
        with contextlib.suppress(RuntimeError, AttributeError):
            client().key_value_set(f"{self._asked_at}/at/{jax.process_index()}", own)
        last = self._answer(self._find_last)
        with self._changed:
            self.number = self.number or asked
            self._last_check = last
            self._is_agreeing = False
            self._changed.notify_all()
        wake_main_thread()

    def _answer(self, ask: Callable[[], T | None]) -> T | None:
        """The first answer to a question that is asked now and then; None if the run ends before.

        The store has none either while it lacks what is asked for, or once it is gone.
        """
        while not self._closed.wait(TICK):
            with contextlib.suppress(RuntimeError, AttributeError):
                if answer := ask():
                    return answer
        return None

    def _find_signal(self) -> int:
        """The number of the signal that came first to one of the processes."""
        if self.number:
            with contextlib.suppress(RuntimeError):  # another one said so
                client().key_value_set(self._asked_at, str(self.number))
        return int(client().key_value_try_get(self._asked_at))

    def _find_last(self) -> int | None:
        """The check at which all end, once all have said where they are.

        It is the one after the last that any has done; or that last one, if all that have done it
        are still in `leavable_together`. They leave it, and the others do not begin it.
        """
        said = [own.split() for _, own in client().key_value_dir_get(f"{self._asked_at}/at/")]
        if len(said) < jax.process_count():
            return None
        most = max(int(checks) for checks, _ in said)
        can_leave = all(together == "1" for checks, together in said if int(checks) == most)
        return most if can_leave else most + 1

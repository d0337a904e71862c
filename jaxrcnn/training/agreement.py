"""A signal to one of several processes ends all of them after the same step.

Nothing is exchanged while no signal comes. Then each process says how many times it has checked,
and all go on until one more than the most; as jax does it for `reached_preemption_sync_point`.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

import jax

from jaxrcnn.training.hosts import PATIENCE, TICK, client, several
from jaxrcnn.training.interruption import Interruption, Stop

ASKED = "jaxrcnn/stop"


def interruption_of_run(seconds: float) -> Interruption:
    """The interruption of a run: of all of its processes, where there are several."""
    return (SharedInterruption if several() else Interruption)(seconds)


class SharedInterruption(Interruption):
    """An `Interruption` of all processes; they check as often, at the same places.

    Nothing can be left at once, for the others would wait for whoever left.
    """

    def __init__(self, seconds: float, say: Callable[[str], None] | None = None) -> None:
        super().__init__(seconds, say)
        self._checks, self._last_check = 0, None
        self._lock = threading.Condition()
        self._agreeing = False
        threading.Thread(target=self._agree, daemon=True, name="agreement").start()

    @contextlib.contextmanager
    def leavable(self) -> Iterator[None]:
        """Nothing is."""
        yield

    def _pass_on(self) -> None:
        """All are done, and none is to fail the others."""

    def check(self) -> None:
        """See whether this is the check at which all end.

        Raises:
            Stop: it is.
        """
        with self._lock:
            while self._agreeing:
                self._lock.wait()
            self._checks += 1
            if self._last_check is None or self._checks < self._last_check or self._raised:
                return
            self._raised = True
        assert self.number is not None
        raise Stop(self.number)

    def _agree(self) -> None:
        """Wait for a signal to any process, and find the check at which all end."""
        while not (asked := self._asked()):
            threading.Event().wait(TICK)
        with self._lock:
            self._agreeing = True
            own = self._checks
        try:
            client().key_value_set(f"{ASKED}/{jax.process_index()}", str(own))
            others = [
                int(client().blocking_key_value_get(f"{ASKED}/{process}", PATIENCE * 1000))
                for process in range(jax.process_count())
            ]
        except (RuntimeError, AttributeError):  # one of them is done, or gone
            others = []
        with self._lock:
            self.number = self.number or asked
            self._last_check = max(others) + 1 if others else None
            self._agreeing = False
            self._lock.notify_all()

    def _asked(self) -> int:
        """The number of the signal that came first to one of the processes, 0 if none did."""
        with contextlib.suppress(RuntimeError, AttributeError):
            if self.number:
                with contextlib.suppress(RuntimeError):  # another one said so
                    client().key_value_set(ASKED, str(self.number))
            return int(client().key_value_try_get(ASKED))
        return 0

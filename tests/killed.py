"""A run that ends as if it were killed."""

import contextlib
from collections.abc import Iterator

import pytest

from jaxrcnn.training.checkpoint import Checkpoints


@contextlib.contextmanager
def killed_after_a_checkpoint(number: int = 1) -> Iterator[None]:
    """Whatever trains inside ends with a KeyboardInterrupt after so many checkpoints."""
    save, saved = Checkpoints.save, []

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        saved.append(state.step)
        if len(saved) == number:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        yield

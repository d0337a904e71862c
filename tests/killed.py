"""A run that ends as if it were killed."""

import contextlib
from collections.abc import Iterator

import pytest

from jaxrcnn.training.checkpoint import Checkpoints


@contextlib.contextmanager
def killed_after_a_checkpoint() -> Iterator[None]:
    """Whatever trains inside ends with a KeyboardInterrupt after its first checkpoint."""
    save = Checkpoints.save

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        yield

"""Faster R-CNN in JAX: pure functions under one jit, trained in one traced step."""

import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jaxrcnn.model import Model


def load(folder: str | os.PathLike[str]) -> "Model":
    """The detector in a run's folder, or in a model's, to find objects with `Model.predict`.

    Raises:
        ConfigError: it is no such folder.
    """
    from jaxrcnn import model  # jax is loaded when it is needed, and not by `import jaxrcnn`

    return model.load(folder)

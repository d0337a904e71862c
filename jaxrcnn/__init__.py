"""Faster R-CNN in JAX: pure functions under one jit, trained in one traced step."""

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jaxrcnn.model import Model


def load(folder: str | os.PathLike[str], **fields: Any) -> "Model":
    """Load the detector of a run, at its last checkpoint, or of a converted or saved model.

    >>> model = jaxrcnn.load("runs/shapes", score_threshold=0.01, max_detections=300)
    >>> model = jaxrcnn.load("runs/shapes", **{"model.proposals.nms_iou": 0.8})

    Args:
        folder: of the run or the model.
        fields: new values of fields that the weights do not depend on: thresholds, limits and NMS
            (model.detections, and of model.proposals what is used in inference), image sizes
            (data.short_side, data.long_side, data.resize) and model.compute_dtype. A field is
            given by its dotted name, or by the end of it; ``score_threshold`` and ``nms_iou`` are
            those of the detections, not of the proposals.

    Raises:
        ConfigError: it is no such folder, it holds no checkpoint, or a field cannot be changed.
    """
    from jaxrcnn import model  # jax is loaded when it is needed, and not by `import jaxrcnn`

    return model.load(folder, **fields)

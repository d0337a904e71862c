"""Faster R-CNN in JAX: pure functions under one jit, trained in one traced step."""

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxrcnn.config import Config
    from jaxrcnn.detector import Detector, Variables
    from jaxrcnn.model import Model
    from jaxrcnn.training.checkpoint import Checkpoint
    from jaxrcnn.training.pieces import Build
    from jaxrcnn.training.workdir import Classes


def load(
    folder: str | os.PathLike[str],
    *,
    checkpoint: "Checkpoint | None" = None,
    build: "Build | None" = None,
    **fields: Any,
) -> "Model":
    """Load the detector of a run or of a converted or saved model.

    >>> model = jaxrcnn.load("runs/shapes", score_threshold=0.01, max_detections=300)
    >>> model = jaxrcnn.load("runs/shapes", **{"model.proposals.nms_iou": 0.8})

    Args:
        folder: of the run or the model.
        checkpoint: of a run: "best", "last" or a step. By default it is the best one if the run was
            trained with train.keep_best, else the last; ``model.step`` and ``model.best_by`` tell.
        build: makes the detector of the folder's config, `jaxrcnn.detector.build` by default. It
            is needed where the detector has pieces that the config does not describe, such as a
            backbone of your own, since their code is not in the folder.
        fields: new values of fields that the weights do not depend on: thresholds, limits and NMS
            (model.detections, and of model.proposals what is used in inference), image sizes
            (data.short_side, data.long_side, data.resize) and model.compute_dtype. A field is
            given by its dotted name, or by the end of it; ``score_threshold`` and ``nms_iou`` are
            those of the detections, not of the proposals.

    Raises:
        ConfigError: it is no such folder, it holds no such checkpoint, a field cannot be changed,
            or the detector's pieces are not the folder's.
    """
    from jaxrcnn import model  # jax is loaded when it is needed, and not by `import jaxrcnn`

    given = {"build": build} if build else {}
    return model.load(folder, checkpoint=checkpoint, **given, **fields)


def save(
    folder: str | os.PathLike[str],
    detector: "Detector",
    variables: "Variables",
    *,
    config: "Config",
    classes: "Sequence[str] | Classes",
) -> None:
    """Write a detector that your own loop trained as a model's folder.

    `load`, ``train.init`` and the commands take it as they take a converted model.

    Args:
        folder: to make; must not exist, or be empty.
        detector: what was trained. Of pieces that its config does not describe only the names are
            kept: `load` then needs the function that builds it.
        variables: its arrays, as `jaxrcnn.detector.init` makes them.
        config: its model is the detector's; its data says how images are resized in prediction.
        classes: names in the order of the labels, from label 1; or a loaded model's ``classes``,
            which have category ids too.

    Raises:
        ConfigError: the arguments do not fit together, or the folder cannot be written.
    """
    from jaxrcnn import saving

    saving.save(folder, detector, variables, config=config, classes=classes)

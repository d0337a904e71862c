"""The best score threshold of each class, as an evaluation wrote it."""

import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import ConfigError
from jaxrcnn.evaluation.analysis.analyse import DEFAULT_THRESHOLD, FILE
from jaxrcnn.opening import read_json
from jaxrcnn.wording import shortened


class Thresholds(NamedTuple):
    """The lowest scores to keep."""

    lowest: np.ndarray  # (K,) of each class, label 1 first
    source: pathlib.Path
    notes: tuple[str, ...]  # what a person should know


def best_thresholds(folder: pathlib.Path, step: int, class_names: Sequence[str]) -> Thresholds:
    """The score thresholds with the largest F1 of each class, from an analysis.json.

    That of an evaluation of the same checkpoint is preferred, ``eval/step_N/`` to ``eval/``; else
    it is that of the run's last evaluation. A class without a best threshold has 0.5.

    Args:
        folder: of a run or a model.
        step: of its checkpoint; 0 of a model.
        class_names: of the model, in label order.

    Raises:
        ConfigError: there is none, or it is damaged or of other classes.
    """
    own = folder / "eval" / f"step_{step}" / FILE
    path = own if own.exists() else folder / "eval" / FILE
    if not path.exists():
        raise ConfigError(
            f"score=best: {folder} has no {FILE} with the best thresholds; "
            f"jaxrcnn evaluate {folder} writes it"
        )
    content = _read(path)
    values = content["classes"]
    if list(values) != list(class_names):
        raise ConfigError(
            f"score=best: {path} has other classes ({_listed(values)}); "
            f"jaxrcnn evaluate {folder} replaces it"
        )
    notes = []
    if content["step"] != step:
        notes.append(
            f"the thresholds are those of step {content['step']}, but the checkpoint is that of "
            f"step {step}; jaxrcnn evaluate {folder} measures them there"
        )
    without = [name for name, one in values.items() if one["threshold"] is None]
    if without:
        notes.append(
            f"{DEFAULT_THRESHOLD} for classes without a best threshold: {_listed(without)}"
        )
    scores = [one["threshold"] for one in values.values()]
    lowest = [DEFAULT_THRESHOLD if score is None else score for score in scores]
    return Thresholds(np.array(lowest, np.float32), path, tuple(notes))


def _listed(names: Iterable[str]) -> str:
    return shortened(", ".join(names))


def _read(path: pathlib.Path) -> dict[str, Any]:
    """An analysis.json whose step and thresholds are sound.

    Raises:
        ConfigError: they are not.
    """
    try:
        content = read_json(path)
        sound = isinstance(content["step"], int) and all(
            score is None or (isinstance(score, int | float) and math.isfinite(score))
            for score in (one["threshold"] for one in content["classes"].values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        sound, content = False, {}
    if not sound:
        raise ConfigError(
            f"score=best: {path} cannot be read; evaluate the model again to replace it"
        )
    return content

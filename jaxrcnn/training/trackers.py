"""Experiment trackers: where metrics go besides metrics.jsonl.

A tracker of your own has the methods of `Tracker`, and is passed to `jaxrcnn.runs.run`.
"""

import importlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.training.tracker_kinds import Mlflow, TensorBoard, Wandb
from jaxrcnn.wording import missing


class Tracker(Protocol):
    """Takes the numbers of a run.

    It may also have ``write_image(step: int, name: str, path: pathlib.Path) -> None``, which takes
    an image file at each evaluation: the detections beside the ground truth.
    """

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take metrics after so many steps; all values are finite."""
        ...

    def close(self) -> None:
        """Finish; the run has ended or was interrupted."""
        ...


class Trackers:
    """Several trackers as one. If one fails, training goes on without it, and a line says so.

    Args:
        trackers: any number.
        say: takes the line.
    """

    def __init__(
        self, trackers: Sequence[Tracker] = (), say: Callable[[str], None] = print
    ) -> None:
        self._trackers, self._say = list(trackers), say

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Give metrics to each."""
        self._each("write", step, metrics)

    def write_image(self, step: int, name: str, path: pathlib.Path) -> None:
        """Give an image file to each that takes images."""
        self._each("write_image", step, name, path)

    def close(self) -> None:
        """Close each."""
        self._each("close")
        self._trackers = []

    def _each(self, method: str, *arguments: Any) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, method, _ignore)(*arguments)
            except Exception as error:
                self._trackers.remove(tracker)
                self._say(_describe_failure(type(tracker).__name__, error))


def _ignore(*_: Any) -> None:
    """In place of a method that a tracker lacks."""


def _describe_failure(name: str, error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"note: {name} failed and is left out ({reason[:300]}); training continues, and "
        "metrics.jsonl is complete"
    )


def require_trackers(config: Config) -> None:
    """See that what train.trackers needs is installed.

    Raises:
        ConfigError: a package is missing; says how to install it.
    """
    for name in config.train.trackers:
        if name == "tensorboard":
            continue
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(missing(f"train.trackers={name}", name, error, name)) from error


def open_trackers(
    config: Config,
    workdir: pathlib.Path,
    resume_step: int,
    own: Sequence[Tracker] = (),
    say: Callable[[str], None] = print,
) -> Trackers:
    """The trackers of a run: those of train.trackers, then one's own.

    Args:
        config: of the run.
        workdir: its folder.
        resume_step: the step that it goes on from, 0 for a new one.
        own: trackers besides those of the config.
        say: takes a line if one cannot be opened, for example without a network.
    """
    opened: list[Tracker] = []
    for name in dict.fromkeys(config.train.trackers):
        try:
            if name == "tensorboard":
                opened.append(TensorBoard(workdir, resume_step))
            else:
                opened.append({"wandb": Wandb, "mlflow": Mlflow}[name](workdir, config))
        except Exception as error:
            say(_describe_failure(name, error))
    return Trackers([*opened, *own], say)

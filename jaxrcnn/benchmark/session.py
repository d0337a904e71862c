"""What a benchmark measures, and the programs that its suites share."""

import functools
from dataclasses import replace
from typing import NamedTuple

from jaxrcnn.benchmark import ops
from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.peer import Torchvision
from jaxrcnn.benchmark.programs import Prediction, Training, draw_variables, with_shared_parts
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config
from jaxrcnn.detector import Variables, build
from jaxrcnn.training.pieces import Build


class Measured(NamedTuple):
    """A detector that is measured."""

    name: str  # in the tables: jaxrcnn, or MODULE:FUNCTION
    build: Build


HOUSE = Measured("jaxrcnn", build)
"""The detector that the config describes."""


class Settings(NamedTuple):
    """What is measured, and how."""

    config: Config
    train: Shape
    predict: tuple[Shape, ...]
    steps: int
    peak: Peak
    peer: Torchvision | None
    detector: Measured = HOUSE
    other: Measured | None = None  # beside it


class Session:
    """The programs of a benchmark, each made when a suite first asks for it.

    Args:
        settings: of the benchmark.
        first: of the detector that this one is compared with; its parts are used as they are where
            both have the same arrays.
    """

    def __init__(self, settings: Settings, first: "Session | None" = None) -> None:
        self.settings, self._first = settings, first

    @functools.cached_property
    def other(self) -> "Session | None":
        """The session of the other detector, where there is one."""
        settings = self.settings
        if settings.other is None:
            return None
        settings = settings._replace(detector=settings.other, other=None, peer=None)
        return Session(settings, first=self)

    @functools.cached_property
    def variables(self) -> Variables:
        """Random variables of the detector."""
        own = draw_variables(self.settings.config, self.settings.detector.build)
        return own if self._first is None else with_shared_parts(own, self._first.variables)

    @functools.cached_property
    def training(self) -> Training:
        """The training step of the config as it is."""
        return self._training(self.settings.config.model.proposals.stop_gradient)

    @functools.cached_property
    def approximate(self) -> Training:
        """The training step with the gradient stopped at the proposals."""
        return self._training(stop_gradient=True)

    @functools.cached_property
    def exact(self) -> Training:
        """The training step with the gradient through the proposals."""
        return self._training(stop_gradient=False)

    def _training(self, stop_gradient: bool) -> Training:
        config = self.settings.config
        proposals = replace(config.model.proposals, stop_gradient=stop_gradient)
        config = replace(config, model=replace(config.model, proposals=proposals))
        return Training(config, self.settings.train, self.variables, self.settings.detector.build)

    @functools.cached_property
    def predictions(self) -> dict[Shape, Prediction]:
        """The prediction at every shape."""
        config, build = self.settings.config, self.settings.detector.build
        return {
            shape: Prediction(config, shape, self.variables, build)
            for shape in self.settings.predict
        }

    @functools.cached_property
    def cases(self) -> list[ops.Case]:
        """Every op, at the size of the last prediction."""
        _, height, width = self.settings.predict[-1]
        return list(ops.op_cases(height, width))

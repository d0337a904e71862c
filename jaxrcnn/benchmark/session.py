"""What a benchmark measures, and the programs that its suites share."""

import functools
from dataclasses import replace
from typing import NamedTuple

from jaxrcnn.benchmark import ops
from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.peer import Torchvision
from jaxrcnn.benchmark.programs import Prediction, Training, draw_variables
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config
from jaxrcnn.detector import Variables


class Settings(NamedTuple):
    """What is measured, and how."""

    config: Config
    train: Shape
    predict: tuple[Shape, ...]
    steps: int
    peak: Peak
    peer: Torchvision | None


class Session:
    """The programs of a benchmark, each made when a suite first asks for it.

    Args:
        settings: of the benchmark.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @functools.cached_property
    def variables(self) -> Variables:
        """Random variables of the detector."""
        return draw_variables(self.settings.config)

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
        return Training(config, self.settings.train, self.variables)

    @functools.cached_property
    def predictions(self) -> dict[Shape, Prediction]:
        """The prediction at every shape."""
        config = self.settings.config
        return {shape: Prediction(config, shape, self.variables) for shape in self.settings.predict}

    @functools.cached_property
    def cases(self) -> list[ops.Case]:
        """Every op, at the size of the last prediction."""
        _, height, width = self.settings.predict[-1]
        return list(ops.op_cases(height, width))

"""The two programs that are timed, each with its arguments: a training step and a prediction."""

from typing import Any

import jax

from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.timing import time_calls
from jaxrcnn.benchmark.workload import config_for, draw_batch
from jaxrcnn.config import Config
from jaxrcnn.detector import COLLECTIONS, Variables, build, run_infer
from jaxrcnn.runtime.xla import jit_program
from jaxrcnn.training.pieces import Build, build_detector
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.types import Batch

WHERE = "the config that is measured"


class Training:
    """The training step of a run at one shape.

    Args:
        config: of the run.
        shape: of its batches.
        variables: to start from, in place of random ones; they are copied.
        build: makes the detector, with its pieces that the config does not describe.
    """

    def __init__(
        self,
        config: Config,
        shape: Shape,
        variables: Variables | None = None,
        build: Build = build,
    ) -> None:
        config = config_for(config, shape)
        self._programs = compile_programs(build_detector(config.model, build, WHERE), config)
        state = self._programs.create_state()
        if variables is not None:
            placed = jax.tree.map(
                lambda own, given: jax.device_put(given, own.sharding, may_alias=False),
                state.variables,
                {**state.variables, **variables},
            )
            state = state._replace(variables=placed)
        self._state = state
        self._batch = self._programs.put_batch(draw_batch(shape, config.model.num_classes))

    def lower(self) -> Any:
        """The traced program, a `jax.stages.Lowered`."""
        return self._programs.train_step.lower(self._state, self._batch)

    def step(self) -> Any:
        """Start a step; its results."""
        return self._advance(self._batch)

    def step_on(self, batch: Batch) -> Any:
        """Start a step on another batch, in numpy arrays; its results."""
        return self._advance(self._programs.put_batch(batch))

    def _advance(self, batch: Batch) -> Any:
        self._state, metrics = self._programs.train_step(self._state, batch)
        return metrics, self._state

    def run(self, steps: int) -> list[float]:
        """Seconds of each of so many steps."""
        return time_calls(self.step, steps)


class Prediction:
    """The detector's `infer` at one shape, of images that lie on the device.

    Args:
        config: of the detector.
        shape: of its batches.
        variables: of the detector.
        build: makes the detector, with its pieces that the config does not describe.
    """

    def __init__(
        self, config: Config, shape: Shape, variables: Variables, build: Build = build
    ) -> None:
        self._detector = build_detector(config.model, build, WHERE)
        batch = draw_batch(shape, config.model.num_classes)
        self._arguments = jax.device_put((variables, batch.images, batch.image_sizes))
        self._predict = jit_program(run_infer, static_argnums=0)

    def lower(self) -> Any:
        """The traced program, a `jax.stages.Lowered`."""
        return self._predict.lower(self._detector, *self._arguments)

    def step(self) -> Any:
        """Start a prediction; its detections."""
        return self._predict(self._detector, *self._arguments)

    def run(self, steps: int) -> list[float]:
        """Seconds of each of so many predictions."""
        return time_calls(self.step, steps)


def draw_variables(config: Config, build: Build = build) -> Variables:
    """Random variables of a detector, of the config's seed."""
    config = config_for(config, Shape(jax.local_device_count(), 64, 64))
    programs = compile_programs(build_detector(config.model, build, WHERE), config)
    variables = programs.create_state().variables
    return {collection: variables[collection] for collection in COLLECTIONS}


def with_shared_parts(own: Variables, other: Variables) -> Variables:
    """A detector's variables, with another's in each part that has the same arrays in both.

    All initial parameters are slices of one draw, so a part of other arrays moves those behind it.
    """

    def arrays(variables: Variables, part: str) -> Any:
        trees = {collection: variables[collection][part] for collection in COLLECTIONS}
        return jax.tree.map(lambda x: (x.shape, str(x.dtype)), trees)

    source = {
        part: other if arrays(own, part) == arrays(other, part) else own for part in own["params"]
    }
    return {
        collection: {part: source[part][collection][part] for part in parts}
        for collection, parts in own.items()
    }


Program = Training | Prediction

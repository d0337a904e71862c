"""What the diagnostics cost, measured in the run itself."""

import time
from collections.abc import Callable, Hashable, Sequence

import jax

from jaxrcnn.config import Config
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.diagnostics import PREFIX, is_diagnosed
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch


class DiagnosticsCost:
    """Takes the steps of a run, and compares those that are measured with ordinary ones.

    Args:
        config: of the run.
        say: called once, with what a measurement costs.
    """

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._compiled: set[Hashable] = set()
        self._ordinary: dict[Hashable, float] = {}  # program -> seconds of a step
        self._said = False

    def step(
        self,
        programs: Programs,
        state: TrainState,
        batch: Batch,
        stage: Stage,
        done: int,
        counts: Sequence[Array] = (),
    ) -> tuple[TrainState, dict[str, Array | float]]:
        """The step after so many that are done; without diagnostics where it measures none.

        Args:
            programs, state, batch, stage: of the step.
            done: steps before it.
            counts: what it takes of the step before, if anything: `LastSteps.counts`.
        """
        every = self._config.train.diagnostics.every
        if not every:
            return programs.train_step(state, batch, stage, *counts)
        measured = bool(is_diagnosed(self._config, done))
        timed = measured or is_diagnosed(self._config, done + 1)
        if timed:
            jax.block_until_ready(state)
        began = time.monotonic()
        state, metrics = programs.train_step(state, batch, stage, *counts)
        if timed:
            jax.block_until_ready(metrics)
            seconds = time.monotonic() - began
            metrics = {**metrics, **self._compare((stage, batch.images.shape), measured, seconds)}
        self._compiled.add((stage, batch.images.shape))
        if measured:
            return state, metrics
        return state, {k: x for k, x in metrics.items() if not k.startswith(PREFIX)}

    def _compare(self, program: Hashable, measured: bool, seconds: float) -> dict[str, float]:
        """The seconds that a measurement adds, as soon as both kinds of step were seen."""
        if program not in self._compiled:
            return {}
        if not measured:
            self._ordinary[program] = seconds
            return {}
        every = self._config.train.diagnostics.every
        if every == 1:
            self._say_once(f"diagnostics: in every step, which takes {seconds:.3g} s")
            return {}
        if program not in self._ordinary:
            return {}
        ordinary = self._ordinary[program]
        extra = max(seconds - ordinary, 0.0)
        percent = 100 * extra / (extra + every * ordinary)
        self._say_once(
            f"diagnostics: {extra:.3g} s every {every} steps, {percent:.2g} % of the training time"
        )
        return {f"{PREFIX}seconds": extra}

    def _say_once(self, line: str) -> None:
        if not self._said:
            self._say(line)
        self._said = True

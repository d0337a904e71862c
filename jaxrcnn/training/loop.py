"""The loop around the training step: logging, evaluation, checkpoints."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import jax

from jaxrcnn.config import Config
from jaxrcnn.training.alternating import Stage, begins_phase, phase_of, stage_of, start_phase
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.cost import DiagnosticsCost
from jaxrcnn.training.diagnostics import PREFIX
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.finite import LastSteps, most_skipped
from jaxrcnn.training.hosts import barrier, several
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.profiling import Profiler
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.skipped import (
    describe_skipped,
    describe_stop,
    means_of,
    number_skipped,
    stopping_step,
)
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch


class Log:
    """Metrics since the last line: kept on the device, so that logging does not hold up steps.

    Args:
        config: of the run.
        writer: where the means go.
        progress: where a person sees them.
        name_image: the name of an image, by its place in the data set.
    """

    def __init__(
        self,
        config: Config,
        writer: MetricsWriter,
        progress: Progress,
        name_image: Callable[[int], str] = str,
    ) -> None:
        self._batch_size = config.train.batch_size
        self._most_skipped = most_skipped(config)
        self._counts_skipped = config.train.on_nonfinite == "skip"
        self._writer = writer
        self.name_image = name_image
        self.progress = progress
        self.restart()

    def restart(self) -> None:
        """Leave the time until now out of images_per_second."""
        self._pending: list[Mapping[str, Array | float]] = []
        self._began = self.progress.clock()

    def add(self, metrics: Mapping[str, Array | float]) -> None:
        """Take the metrics of one step; diagnostics among them get a line of their own."""
        self._pending.append(metrics)

    def show(self, step: int) -> None:
        """Show the loss of the step that was added last, before its line is due."""
        self.progress.log(step, float(self._pending[-1]["loss"]))

    def flush(self, step: int) -> None:
        """Write the means over the steps since the last line, without those that were left out.

        Raises:
            NonFiniteLossError: names the step with which training stops.
        """
        rows = jax.device_get(self._pending)
        if not rows:
            return
        seconds = self.progress.clock() - self._began
        numbered = list(enumerate(rows, step - len(rows) + 1))
        for number, row in numbered:
            measured = {k: x for k, x in row.items() if k.startswith(PREFIX)}
            if measured:
                self._write(number, measured)
        bad = stopping_step(numbered, self._most_skipped)
        means = {f"train/{name}": x for name, x in means_of(rows, with_skipped=bool(bad)).items()}
        if self._counts_skipped:
            means["train/skipped"] = number_skipped(rows)
        means["train/images_per_second"] = self._batch_size * len(rows) / seconds
        self._write(step, means)
        loss = means.get("train/loss", math.nan)
        self.progress.log(step, loss, means["train/images_per_second"])
        if bad:
            raise NonFiniteLossError(bad.step, describe_stop(bad, self.name_image))
        for line in describe_skipped(numbered, self.name_image):
            self.progress.message(line)
        self.restart()

    def _write(self, step: int, metrics: Mapping[str, float]) -> None:
        with self.progress.unwatched():  # the disk may be full for a while, here or elsewhere
            self._writer.write(step, metrics)


def evaluates_after(config: Config, step: int) -> bool:
    """Whether a run evaluates its state after so many steps; without a box head's it does not."""
    every = config.train.eval_every
    if stage_of(config, step - 1) == "rpn":
        return False
    return step == config.train.steps or (every > 0 and step > 0 and step % every == 0)


def runs_ahead() -> bool:
    """Whether a step is begun before the one before it is done, so that the device never waits.

    On a CPU that gains nothing, since Python takes the same cores; and collectives of several
    virtual devices there, pipelined, can wait for each other's threads.
    """
    return jax.default_backend() != "cpu"


def run_steps(
    config: Config,
    programs: Programs,
    state: TrainState,
    batches: Callable[[TrainState], Iterator[Batch]],
    checkpoints: Checkpoints,
    log: Log,
    evaluate: Callable[[TrainState], bool | None],
    first_state: Callable[[], TrainState],
    look_ahead: Callable[[TrainState, Batch, Stage], None] | None = None,
    profiler: Profiler | None = None,
    interruption: Interruption | None = None,
    last: LastSteps | None = None,
    forecast: Callable[[TrainState, Batch, Stage], None] | None = None,
) -> TrainState:
    """Train from the state's step to the end, or until an evaluation ends it.

    Args:
        config: of the run.
        programs: compiled for it.
        state: to go on from.
        batches: makes those of the steps after a state, in host memory. It is asked at the first
            step and, since a phase of alternating training may need others, as each phase begins.
        checkpoints: where the states go.
        log: where the metrics go.
        evaluate: called every train.eval_every steps and at the end; training ends early if it
            returns True.
        first_state: makes the run's state at step 0; phases of alternating training return to it.
        look_ahead: called after the first step of each phase, with the state that it gave and the
            batch that it took, to begin to compile what later steps will need.
        profiler: traces some of the steps; None traces none.
        interruption: holds the last state; a signal ends the training after a step.
        last: takes every step, so that one which is not finite can be repeated.
        forecast: called when a step is compiled and before it runs, to see whether it fits into
            memory.

    Returns:
        The last state, which has a checkpoint, unless an evaluation ended the training: that one
        saves it.

    Raises:
        CheckpointError: a state could not be written.
        NonFiniteLossError: training diverged.
        Stop: a signal came.
    """
    interruption = interruption or Interruption(0)
    ahead = runs_ahead()
    progress = log.progress
    last = LastSteps(config) if last is None else last
    cost = DiagnosticsCost(config, progress.message)
    stream: Iterator[Batch] | None = None
    for step in range(int(state.step) + 1, config.train.steps + 1):
        done = step - 1
        if begins_phase(config, done):
            log.flush(done)
            state = _start_phase(config, programs, state, first_state, progress)
            stream = last.state = None
        first = stream is None
        if stream is None:
            stream = _open(batches, state, progress)
            log.restart()
        if profiler:
            profiler.begin(done, state)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            with interruption.leavable():
                batch = programs.put_batch(next(stream))
            stage = stage_of(config, done)
            name = STEP_NAMES[stage] + ("" if first else f" for {orientation(batch)} images")
            progress.compile(name, programs.train_step, state, batch, stage)
            if forecast is not None:
                forecast(state, batch, stage)
            state, metrics = cost.step(programs, state, batch, stage, done, last.counts)
        last.add(step, state, batch, stage, metrics)
        progress.follow(step, metrics["loss"])
        if not ahead:
            jax.block_until_ready(state)
        if ahead and not first and (done % config.train.log_every == 0 or last.ends(done)):
            log.flush(done)  # only now, so that the devices have the next step to do meanwhile
        log.add(metrics)
        if first:  # waits for the step, which nothing that is compiled for later may slow down
            (log.show if step % config.train.log_every else log.flush)(step)
            if look_ahead is not None:
                look_ahead(state, batch, stage)
        if not ahead and (last.ends(step) or (not first and step % config.train.log_every == 0)):
            log.flush(step)
        # By this number: that of the state is one less if the step turns out not to be finite.
        interruption.hold(state, functools.partial(log.flush, step))
        if _end_step(config, state, step, checkpoints, log, evaluate, profiler):
            break
        interruption.check()
    return state


STEP_NAMES: dict[Stage, str] = {
    "joint": "the training step",
    "rpn": "the RPN's training step",
    "fast_rcnn": "Fast R-CNN's training step",
}
"""What a person sees that is compiled."""


def orientation(batch: Batch) -> str:
    """What the images of a batch are in common: "landscape", "portrait" or "square"."""
    height, width = batch.images.shape[1:3]
    return "landscape" if width > height else "portrait" if height > width else "square"


def _open(
    batches: Callable[[TrainState], Iterator[Batch]], state: TrainState, progress: Progress
) -> Iterator[Batch]:
    """The batches of the steps after a state, of which the first is there."""
    with progress.activity("preparing the first batch", "prepared the first batch"):
        stream = batches(state)
        return itertools.chain([next(stream)], stream)


def _start_phase(
    config: Config,
    programs: Programs,
    state: TrainState,
    first_state: Callable[[], TrainState],
    progress: Progress,
) -> TrainState:
    """The state with which a phase begins."""
    phase = phase_of(config, int(state.step))
    name = f"step {phase.number + 1} of alternating training" if phase else "training"
    with progress.activity(f"preparing {name}", f"prepared {name}"):
        return start_phase(config, state, first_state, programs.create_state)


def _end_step(
    config: Config,
    state: TrainState,
    step: int,
    checkpoints: Checkpoints,
    log: Log,
    evaluate: Callable[[TrainState], bool | None],
    profiler: Profiler | None,
) -> bool:
    """Save and evaluate what the config wants after so many steps; whether training ends early."""
    if not several() or step % config.train.log_every == 0:  # where they wait for each other
        checkpoints.check()
    save = step == config.train.steps or step % config.train.checkpoint_every == 0
    minutes = config.train.checkpoint_minutes
    save = save or (minutes > 0 and checkpoints.is_due(minutes))
    judge = evaluates_after(config, step)
    traced = profiler is not None and profiler.ends(step)
    if not (save or judge or traced):
        return False
    log.flush(step)
    with log.progress.unwatched():
        if profiler and traced:
            profiler.end(state)
        if save:
            checkpoints.save(state)
        over = judge and bool(evaluate(state))
        barrier("ended step")  # the first process takes longer: it writes, draws and deletes
    log.restart()
    return over

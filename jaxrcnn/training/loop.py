"""The loop around the training step: metrics, evaluation, checkpoints."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping

import jax

from jaxrcnn.config import Config
from jaxrcnn.training.alternating import Stage, begins_phase, phase_of, stage_of, start_phase
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.cost import DiagnosticsCost
from jaxrcnn.training.finite import LastSteps
from jaxrcnn.training.hosts import barrier, several
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.log import Log
from jaxrcnn.training.padding import padded_share
from jaxrcnn.training.profiling import Profiler
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch


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


@dataclasses.dataclass
class Loop:
    """Training steps, and what lies around them.

    Args:
        config: of the run.
        programs: compiled for it.
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
    """

    config: Config
    programs: Programs
    batches: Callable[[TrainState], Iterator[Batch]]
    checkpoints: Checkpoints
    log: Log
    evaluate: Callable[[TrainState], bool | None]
    first_state: Callable[[], TrainState]
    _: dataclasses.KW_ONLY
    look_ahead: Callable[[TrainState, Batch, Stage], None] | None = None
    profiler: Profiler | None = None
    interruption: Interruption = dataclasses.field(default_factory=lambda: Interruption(0))
    last: LastSteps | None = None
    forecast: Callable[[TrainState, Batch, Stage], None] | None = None

    def __post_init__(self) -> None:
        self._last = self.last or LastSteps(self.config)
        self._cost = DiagnosticsCost(self.config, self.log.progress.message)
        self._ahead = runs_ahead()
        self._stream: Iterator[Batch] | None = None

    def run(self, state: TrainState) -> TrainState:
        """Train from the state's step to the end, or until an evaluation ends it.

        Returns:
            The last state, which has a checkpoint, unless an evaluation ended the training: that
            one saves it.

        Raises:
            CheckpointError: a state could not be written.
            NonFiniteLossError: training diverged.
            Stop: a signal came.
        """
        for step in range(int(state.step) + 1, self.config.train.steps + 1):
            if begins_phase(self.config, step - 1):
                state = self._start_phase(step - 1, state)
            first = self._stream is None
            if self._stream is None:
                self._stream = self._open(state)
            if self.profiler:
                self.profiler.begin(step - 1, state)
            state = self._train(step, state, self._stream, first)
            if self._end_step(step, state):
                break
            self.interruption.check()
        return state

    def _start_phase(self, done: int, state: TrainState) -> TrainState:
        """The state with which a phase begins, after so many steps."""
        self.log.flush(done)
        self._stream = self._last.state = None
        phase = phase_of(self.config, int(state.step))
        name = f"step {phase.number + 1} of alternating training" if phase else "training"
        with self.log.progress.activity(f"preparing {name}", f"prepared {name}"):
            return start_phase(self.config, state, self.first_state, self.programs.create_state)

    def _open(self, state: TrainState) -> Iterator[Batch]:
        """The batches of the steps after a state, of which the first is there."""
        name = "the first batch"
        with self.log.progress.activity(f"preparing {name}", f"prepared {name}"):
            stream = self.batches(state)
            stream = itertools.chain([next(stream)], stream)
        self.log.restart()
        return stream

    def _train(
        self, step: int, state: TrainState, stream: Iterator[Batch], first: bool
    ) -> TrainState:
        """The state after a step, which takes the next batch; `first` of its phase or not."""
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            with self.interruption.leavable():
                made = next(stream)
                batch = self.programs.put_batch(made)
            stage = stage_of(self.config, step - 1)
            name = STEP_NAMES[stage] + ("" if first else f" for {_kind(self.config, batch)} images")
            self.log.progress.compile(name, self.programs.train_step, state, batch, stage)
            if self.forecast:
                self.forecast(state, batch, stage)
            state, metrics = self._cost.step(
                self.programs, state, batch, stage, step - 1, self._last.counts
            )
        self._last.add(step, state, batch, stage, metrics)
        self.log.progress.follow(step, metrics["loss"])
        self._write(step, state, metrics, padded_share(made), first)
        if first and self.look_ahead:  # the step is done, so that this does not slow it down
            self.look_ahead(state, batch, stage)
        # By this number: that of the state is one less if the step turns out not to be finite.
        self.interruption.hold(state, functools.partial(self.log.flush, step))
        return state

    def _write(
        self,
        step: int,
        state: TrainState,
        metrics: Mapping[str, Array | float],
        padded: float,
        first: bool,
    ) -> None:
        """Take the metrics of a step, and write a line of them where one is due."""
        log, every = self.log, self.config.train.log_every
        if not self._ahead:
            jax.block_until_ready(state)
        elif not first and ((step - 1) % every == 0 or self._last.ends(step - 1)):
            log.flush(step - 1)  # only now, so that the devices have this step to do meanwhile
        log.add(metrics, padded)
        due = step % every == 0
        if first:
            (log.flush if due else log.show)(step)  # waits for the step
        if not self._ahead and (self._last.ends(step) or (due and not first)):
            log.flush(step)

    def _end_step(self, step: int, state: TrainState) -> bool:
        """Save and evaluate what the config wants after a step; whether training ends early."""
        train = self.config.train
        if not several() or step % train.log_every == 0:  # where they wait for each other
            self.checkpoints.check()
        save = step == train.steps or step % train.checkpoint_every == 0
        minutes = train.checkpoint_minutes
        save = save or (minutes > 0 and self.checkpoints.is_due(minutes))
        judge = evaluates_after(self.config, step)
        traced = self.profiler is not None and self.profiler.ends(step)
        if not (save or judge or traced):
            return False
        self.log.flush(step)
        with self.log.progress.unwatched():
            if self.profiler and traced:
                self.profiler.end(state)
            if save:
                self.checkpoints.save(state)
            over = judge and bool(self.evaluate(state))
            barrier("saving or evaluating")  # the first takes longer: it writes, draws and deletes
        self.log.restart()
        return over


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


def _kind(config: Config, batch: Batch) -> str:
    """The orientation of a batch's images, with its shape where several may have the same."""
    height, width = batch.images.shape[1:3]
    several = config.data.max_buckets > 2
    return orientation(batch) + (f" ({width}x{height})" if several else "")

"""Runs that differ in their gates alone, side by side in one program: a sweep over gates.

They see the same batches with the same draws. Their states are one `TrainState` whose arrays have a
leading axis, a place for each run; that is what the shared checkpoints hold. Each run's numbers,
and in the end its own checkpoint, lie in a folder like any run's.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.data.fingerprint_file import describe_data
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import Detector, build
from jaxrcnn.provenance import Provenance, check_data, find_provenance, write_provenance
from jaxrcnn.run_scores import score_line, scores
from jaxrcnn.run_start import check_start, open_folder
from jaxrcnn.runs import first_state
from jaxrcnn.runtime.xla import jit_program
from jaxrcnn.scoring import evaluate_state
from jaxrcnn.study.results import Failure
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.damage import Damage, find_damage, leave_out
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.failure import write_failure
from jaxrcnn.training.finite import LastSteps
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.knobs import Knobs, knobs_of, with_open_gate, without_knobs
from jaxrcnn.training.lock import locked
from jaxrcnn.training.log import Log
from jaxrcnn.training.loop import Loop, evaluates_after
from jaxrcnn.training.memory import memory_errors
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.pieces import Build, build_detector, claim_pieces, own_pieces
from jaxrcnn.training.program import Program
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step import train_step
from jaxrcnn.training.trackers import open_trackers
from jaxrcnn.training.watchdog import Watchdog, report_stuck
from jaxrcnn.types import Array, Batch


def run_side_by_side(
    configs: Mapping[pathlib.Path, Config],
    together: pathlib.Path,
    train_set: Dataset,
    eval_set: Dataset,
    build: Build = build,
) -> dict[pathlib.Path, Failure]:
    """Train all runs to the end, or go on from the last checkpoint.

    Args:
        configs: of each run, by its folder; of joint training, they differ in the gates alone.
        together: folder of the checkpoints that they share.
        train_set, eval_set: open.
        build: makes their detector, with its pieces that the config does not describe.

    Returns:
        How runs diverged, by their folders; the others are finished.

    Raises:
        ConfigError: a folder holds a run of another config or of other pieces, or is in use.
        DataError: an image is unreadable and data.on_error is "raise".
    """
    with contextlib.ExitStack() as held:
        for folder in configs:
            held.enter_context(locked(folder, print))
        sweep = _prepare(configs, together, train_set, eval_set, build)
        _write_start(sweep)
        return _train(sweep)


class Sweep(NamedTuple):
    """What runs side by side begin with, or go on with; nothing is written yet."""

    configs: Mapping[pathlib.Path, Config]
    together: pathlib.Path
    train_set: Dataset
    eval_set: Dataset
    detector: Detector
    programs: Programs  # of a single run
    damage: Damage
    provenances: dict[pathlib.Path, Provenance]

    @property
    def folders(self) -> list[pathlib.Path]:
        """Of the runs, in the order of their places."""
        return list(self.configs)

    @property
    def config(self) -> Config:
        """Of all of them, but for the gates."""
        return self.configs[self.folders[0]]

    @property
    def provenance(self) -> Provenance:
        """Of all of them: they began with the same."""
        return self.provenances[self.folders[0]]


def _prepare(
    configs: Mapping[pathlib.Path, Config],
    together: pathlib.Path,
    train_set: Dataset,
    eval_set: Dataset,
    build: Build,
) -> Sweep:
    """See that the runs can be done, which leaves their folders as they were."""
    config = next(iter(configs.values()))
    detector = build_detector(config.model, build, together)
    programs = compile_programs(detector, config)
    damage = find_damage(together, config)
    if not damage.good:
        check_start(config, programs, train_set.class_names)
    data, step = describe_data(config, train_set, eval_set), damage.good
    provenances = {
        folder: find_provenance(own, folder, check_data(own, folder, data, step), step)
        for folder, own in configs.items()
    }
    return Sweep(configs, together, train_set, eval_set, detector, programs, damage, provenances)


def _write_start(sweep: Sweep) -> None:
    """Write to the folders what the runs begin with, and tell a person."""
    for folder, own in sweep.configs.items():
        open_folder(own, folder, sweep.train_set)
        claim_pieces(folder, own_pieces(sweep.detector), print)
    lines = leave_out(sweep.together, sweep.damage)
    for folder, provenance in sweep.provenances.items():
        write_provenance(folder, provenance)
    for line in [*lines, *sweep.provenance.lines]:
        print(line)


def _train(sweep: Sweep) -> dict[pathlib.Path, Failure]:
    """Train all to the end; how runs diverged, by their folders."""
    config, together, folders = sweep.config, sweep.together, sweep.folders
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption(config.train.stop_seconds))
        checkpoints = stack.enter_context(
            Checkpoints(
                *(together, config.train.keep_checkpoints, sweep.provenance.origin),
                metrics=[folder / "metrics.jsonl" for folder in folders],
            )
        )
        watchdog = Watchdog(config.train.watchdog, functools.partial(report_stuck, together))
        progress = stack.enter_context(Progress(config.train.steps, interruption, watchdog))
        first = functools.partial(_first_states, sweep, progress)
        state = checkpoints.restore(first()) if checkpoints.steps else first()
        step = int(state.step)
        writers = [
            stack.enter_context(MetricsWriter(folder, step, open_trackers(own, folder, step)))
            for folder, own in sweep.configs.items()
        ]
        batches = stack.enter_context(
            contextlib.closing(train_batches(sweep.train_set, config, step))
        )
        images = [record.name for record in sweep.train_set.records]
        logs: Any = Logs(config, writers, progress, images)
        last = LastSteps(config)
        runs = list(sweep.configs.items())
        logs.record = functools.partial(_record, runs, last, images.__getitem__)
        logs.failures |= {k: bad for k, f in enumerate(folders) if (bad := diverged_before(f))}
        evaluate = functools.partial(_evaluate, sweep, logs, writers)
        stack.enter_context(interruption.saving(checkpoints))
        if evaluates_after(config, step) and not all(
            scores(folders[place], step) for place in logs.going_on
        ):
            evaluate(state)  # it died between this checkpoint and its evaluation
        side_by_side = compile_side_by_side(
            sweep.detector, list(sweep.configs.values()), sweep.programs
        )
        with contextlib.suppress(NonFiniteLossError):  # all diverged; logs.failures says how
            loop = Loop(
                *(config, side_by_side, lambda _: batches, checkpoints, logs, evaluate, first),
                interruption=interruption,
                last=last,
            )
            with watchdog, memory_errors(config):
                state = loop.run(state)
    for place in logs.going_on:
        _save(sweep, place, state)
    return {folders[place]: failure for place, failure in logs.failures.items()}


def _evaluate(
    sweep: Sweep, logs: "Logs", writers: Sequence[MetricsWriter], states: TrainState
) -> None:
    """Evaluate the states of the runs that go on."""
    for place in logs.going_on:
        state, folder = _one_of(states, place), sweep.folders[place]
        metrics = evaluate_state(
            *(sweep.config, sweep.programs, state, sweep.eval_set, folder, logs.progress)
        )
        writers[place].write(int(state.step), metrics)
        logs.progress.message(f"step {int(state.step)}  {folder.name}  {score_line(metrics)}")


def _save(sweep: Sweep, place: int, states: TrainState) -> None:
    """Save the last state of one run to its own folder."""
    folder = sweep.folders[place]
    origin = sweep.provenances[folder].origin
    with Checkpoints(folder, sweep.config.train.keep_checkpoints, origin) as checkpoints:
        checkpoints.save(_one_of(states, place))


def compile_side_by_side(
    detector: Detector, configs: Sequence[Config], programs: Programs, at_once: int = 0
) -> Programs:
    """The programs of single runs with a training step for all of these.

    Args:
        detector: the pieces.
        configs: R of them.
        programs: compiled for one of them.
        at_once: how many go under one vmap, the others after them. 0 takes all, but on the CPU one:
            a vmap groups the convolutions, which makes them slow there.

    Returns:
        Programs whose train_step takes and gives states with a leading axis of R on all but the
        step, and gives metrics (R,).
    """
    # A gate of width 0 would be a program of its own, where nothing flows.
    shared = {without_knobs(with_open_gate(config)) for config in configs}
    if len(shared) != 1:
        raise ValueError("the configs differ in more than their gates")
    (config,) = shared
    trained = detector._replace(config=config.model)
    knobs = jax.tree.map(lambda *x: np.stack(x), *map(knobs_of, configs))
    none = np.zeros(len(configs), np.int32)
    step = jit_program(_steps, static_argnums=(0, 1, 2), donate_argnums=3)
    at_once = at_once or (1 if jax.default_backend() == "cpu" else len(configs))
    return programs._replace(
        train_step=Program(
            step,
            (trained, config, at_once),
            lambda state, batch, stage, skipped=none: ((state, batch, knobs, skipped), {}),
        )
    )


def _steps(
    detector: Detector,
    config: Config,
    at_once: int,
    states: TrainState,
    batch: Batch,
    knobs: Knobs,
    skipped: Array,
) -> tuple[TrainState, dict[str, Array]]:
    """The step of all runs, so many at once under a vmap; diverged runs stay as they are."""

    def step(own: tuple[Any, Knobs, Array]) -> tuple[Any, dict[str, Array]]:
        state, knobs, skipped = own
        state = TrainState(states.step, *state)
        state, metrics = train_step(detector, config, state, batch, knobs, skipped)
        return state[1:], metrics

    moved, metrics = jax.lax.map(step, (states[1:], knobs, skipped), batch_size=at_once)
    return TrainState(states.step + 1, *moved), metrics


def _first_states(sweep: Sweep, progress: Progress) -> TrainState:
    """A copy of the state at step 0 for each run."""
    state = first_state(sweep.config, sweep.programs, progress, sweep.train_set.class_names)
    copies = jax.tree.map(lambda x: jnp.stack([x] * len(sweep.configs)), state)
    return copies._replace(step=state.step)


def _one_of(states: TrainState, place: int) -> TrainState:
    """The state of one run."""
    state = jax.tree.map(lambda x: x[place], states._replace(step=states.step[None]))
    return state._replace(step=states.step)


def _record(
    runs: Sequence[tuple[pathlib.Path, Config]],
    last: LastSteps,
    name_image: Callable[[int], str],
    place: int,
    error: NonFiniteLossError,
) -> str:
    """Write the folder of a run that diverged; how it is used, or empty if the step is gone.

    A run alone has another program, so that its numbers may differ in the last digits.
    """
    taken = last.taken.get(error.step)
    if taken is None or last.state is None:
        return ""
    (folder, config), states = runs[place], last.state
    metrics = {name: values[place] for name, values in taken.metrics.items()}
    return write_failure(
        *(folder, config, error.step, _one_of(states, place), taken._replace(metrics=metrics)),
        *(str(error), name_image),
    )


def diverged_before(folder: pathlib.Path) -> Failure | None:
    """Whether a run that is resumed had diverged by then, as its metrics say."""
    for row in MetricsWriter.read(folder / "metrics.jsonl"):
        if "train/loss" in row and row["train/loss"] is None:
            return Failure(row["step"], f"step {row['step']} or shortly before: loss not finite")
    return None


class _LastLine:
    """In place of one run's progress: what it would show."""

    loss = speed = 0.0

    def __init__(self, progress: Progress) -> None:
        self.clock, self.message = progress.clock, progress.message
        self.unwatched = progress.unwatched

    def log(self, _: int, loss: float, images_per_second: float) -> None:
        """Keep it."""
        self.loss, self.speed = loss, images_per_second


class Logs:
    """A `Log` for each run. A run that diverges is left out from then on; the others go on.

    Args:
        config: of one of the runs.
        writers: of the runs, in the order of the metrics' places.
        progress: where a person sees the mean loss of those that go on.
        names: of the training images.
    """

    def __init__(
        self,
        config: Config,
        writers: Sequence[MetricsWriter],
        progress: Progress,
        names: Sequence[str],
    ) -> None:
        self._lines: Any = [_LastLine(progress) for _ in writers]
        self._logs = [
            Log(config, writer, line, names.__getitem__)
            for writer, line in zip(writers, self._lines, strict=True)
        ]
        self.progress = progress
        self._pending: list[Mapping[str, Array]] = []
        self._padded: list[float] = []
        self.failures: dict[int, Failure] = {}
        """How runs diverged, by their places."""
        self.record: Callable[[int, NonFiniteLossError], str] = lambda *_: ""
        """Writes what repeats the step with which a run diverged; what to say of it."""

    @property
    def going_on(self) -> list[int]:
        """Places of the runs that did not diverge."""
        return [place for place in range(len(self._logs)) if place not in self.failures]

    def add(self, metrics: Mapping[str, Array], padded: float) -> None:
        """Take the metrics of one step, (R,) each, and the share of its batch that is padding."""
        self._pending.append(metrics)
        self._padded.append(padded)

    def show(self, step: int) -> None:
        """Show the mean loss of the step that was added last, before its line is due."""
        losses = jax.device_get(self._pending[-1]["loss"])
        self._show(step, [float(losses[place]) for place in self.going_on])

    def _show(self, step: int, losses: Sequence[float], speed: float | None = None) -> None:
        self.progress.log(step, sum(losses) / len(losses), speed)

    def flush(self, step: int) -> None:
        """Write each run's means over the steps since the last line.

        Raises:
            NonFiniteLossError: no run is left.
        """
        rows, self._pending = jax.device_get(self._pending), []
        padded, self._padded = self._padded, []
        for place in self.going_on:
            log = self._logs[place]
            for row, share in zip(rows, padded, strict=True):
                log.add({name: values[place] for name, values in row.items()}, share)
            try:
                log.flush(step)
            except NonFiniteLossError as error:
                message = f"{error} {self.record(place, error)}".strip()
                self.failures[place] = Failure(error.step, message)
        if rows and not self.going_on:
            raise NonFiniteLossError(step, "all runs diverged")
        if rows:
            lines = [self._lines[place] for place in self.going_on]
            self._show(step, [line.loss for line in lines], lines[0].speed)

    def restart(self) -> None:
        """Leave the time until now out of the speed."""
        for log in self._logs:
            log.restart()

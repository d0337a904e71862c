"""One training run in its folder: state -> steps -> checkpoints, metrics, detections.

`train.py` runs one of a person's config, a study many of its own.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.data.datasets import check_classes
from jaxrcnn.data.loader import (
    BatchStream,
    empty_eval_batches,
    empty_train_batches,
    train_batches,
)
from jaxrcnn.data.planning import images_per_epoch
from jaxrcnn.data.proposals import StoredProposals, join_proposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import COLLECTIONS, Detector
from jaxrcnn.evaluation.proposals import find_proposals
from jaxrcnn.interop.initial_weights import check_init, read_init
from jaxrcnn.scoring import (
    Evaluations,
    check_keep_best,
    check_test,
    predictor,
    score_line,
    score_test,
    scores,
)
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.alternating import (
    Stage,
    check_restarts,
    describe_phases,
    finished,
    stage_of,
    takes_given,
)
from jaxrcnn.training.best import best_so_far
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.epochs import describe_epochs, describe_schedule, with_epochs
from jaxrcnn.training.gates import describe_gate
from jaxrcnn.training.layers import check_layers
from jaxrcnn.training.loop import Log, evaluates_after, run_steps
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.pieces import claim_pieces, own_pieces
from jaxrcnn.training.profiling import Profiler
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.resumable import describe_changes
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.state import TrainState, eval_variables
from jaxrcnn.training.trackers import Tracker, open_trackers, require_trackers
from jaxrcnn.types import Batch


def run(
    config: Config,
    workdir: str | os.PathLike[str],
    detector: Detector,
    train_set: Dataset,
    eval_set: Dataset,
    optimizer: Optimizer = default_optimizer,
    *,
    test_set: Dataset | None = None,
    trackers: Sequence[Tracker] = (),
) -> Collection[str]:
    """Train, or go on from the workdir's last checkpoint; everything made lies in the workdir.

    Args:
        config: of the run. If it has train.epochs, the steps are computed here. A run that goes on
            may have other values of the fields in `jaxrcnn.training.resumable`.
        workdir: its folder.
        detector: built for the config, perhaps with pieces of your own.
        train_set, eval_set: open.
        optimizer: in place of the one that the config describes.
        test_set: open; scored once, at the end, with the best state or else the last.
        trackers: of your own, besides those of train.trackers.

    Returns:
        A line for each image that could not be read.

    Raises:
        ConfigError: the folder holds a run of another config or of other pieces, a data set has
            another number of classes than the model, the initial weights do not fit the config, a
            layer to freeze or a part to restart is missing, a batch cannot be shared out evenly
            among the devices, train.keep_best is no metric, or a tracker is not installed.
        DataError: an image is unreadable and data.on_error is "raise", or a file of proposals is
            not for these sets.
        NonFiniteLossError: training diverged.
    """
    workdir = pathlib.Path(workdir)
    for dataset in (train_set, eval_set, *([test_set] if test_set else [])):
        check_classes(dataset, config)
    config = with_epochs(config, epoch_length(train_set, config))
    config, changes = run_folder.change(workdir, config, last_step(workdir))
    check_keep_best(config, eval_set)
    if test_set is not None:
        check_test(config)
    require_trackers(config)
    programs = compile_programs(detector, config, optimizer)
    given = read_given(config, train_set, eval_set)
    if not last_step(workdir):
        check_start(config, programs, train_set.class_names)
    own = own_pieces(
        detector,
        optimizer=None if optimizer is default_optimizer else optimizer,
        train_transforms=train_set.transforms,
        eval_transforms=eval_set.transforms,
    )
    if not changes:  # else it is there, and of this config but for those
        open_folder(config, workdir, train_set)
    with (
        Progress(config.train.steps) as progress,
        Checkpoints(workdir, config.train.keep_checkpoints) as checkpoints,
    ):
        claim_pieces(workdir, own, progress.message)
        run_folder.write_changes(workdir, config, changes)
        for line in describe_changes(config, changes):
            progress.message(line)
        for line in describe_training(config, train_set, optimizer):
            progress.message(line)
        first = functools.partial(first_state, config, programs, progress, train_set.class_names)
        state = restore(programs, checkpoints, progress) if checkpoints.steps else first()
        check_restarts(config, state.variables)
        step = int(state.step)
        followers = open_trackers(config, workdir, step, trackers, progress.message)
        with (
            MetricsWriter(workdir, step, followers) as writer,
            contextlib.closing(Feed(config, programs, train_set, progress, given.train)) as feed,
            contextlib.closing(
                LookAhead(config, programs, train_set, eval_set, given.eval)
            ) as look,
            contextlib.closing(Profiler(config, workdir, progress.message, step)) as profiler,
        ):
            log = Log(config, writer, progress, lambda index: train_set.records[index].name)
            evaluate = Evaluations(
                *(config, programs, eval_set, workdir, progress),
                *(writer, followers, checkpoints, given.eval),
            )

            def batches(state: TrainState) -> Iterator[Batch]:
                look.close()  # a phase begins: what the last one would have needed is in its way
                return feed.start(state)

            for line in describe_start(config, workdir, step):
                progress.message(line)
            if evaluates_after(config, step) and not scores(workdir, step):
                evaluate(state)  # the run died between this checkpoint and its evaluation
            if not evaluate.so_far.is_over:
                state = run_steps(
                    *(config, programs, state, batches, checkpoints, log, evaluate, first),
                    look,
                    profiler,
                )
            if test_set is not None:
                score_test(
                    *(config, programs, state, evaluate.so_far.best, checkpoints),
                    *(test_set, workdir, progress, writer),
                )
    return feed.unread


def epoch_length(train_set: Dataset, config: Config) -> int:
    """Images of an epoch on average, repeated ones counted as often as they are used."""
    return round(images_per_epoch(train_set, config))


def describe_training(config: Config, train_set: Dataset, optimizer: Optimizer) -> list[str]:
    """What a person should know about the gate, the phases and the schedule before training."""
    lines = [*describe_gate(config.model), *describe_phases(config)]
    lines += describe_epochs(config, epoch_length(train_set, config))
    return lines + (describe_schedule(config) if optimizer is default_optimizer else [])


def describe_start(config: Config, workdir: pathlib.Path, step: int) -> list[str]:
    """What there is to say of a run that goes on from a step; nothing of a new one."""
    if step == 0:
        return []
    so_far = best_so_far(workdir, config)
    if so_far.is_over and scores(workdir, step):
        return [f"{workdir}: {so_far.describe_end(step)}; a larger value, or 0, continues it"]
    if step < config.train.steps:
        return [f"{workdir}: continuing after step {step} of {config.train.steps}"]
    last = [f"step {step}  {score_line(row)}" for row in scores(workdir, step)]
    return [f"{workdir}: all {step} steps are done", *last]


def restore(programs: Programs, checkpoints: Checkpoints, progress: Progress) -> TrainState:
    """The state of the last checkpoint."""
    name = f"the checkpoint of step {checkpoints.steps[-1]}"
    with progress.activity(f"restoring {name}", f"restored {name}"):
        return checkpoints.restore(programs.state_shapes())


def open_folder(config: Config, workdir: pathlib.Path, train_set: Dataset) -> None:
    """Make the folder of a run, with its config and classes, or see that it is of this config.

    Raises:
        ConfigError: the folder holds a run of another config.
    """
    run_folder.claim(workdir, config)
    run_folder.write_classes(workdir, train_set.class_names, train_set.category_ids)


class LookAhead:
    """Compiles in the background for the shapes of batches that are still to come.

    Args:
        config: of the run.
        programs: compiled for it.
        train_set, eval_set: open.
        given: proposals for the evaluation set from a file, if any.
    """

    def __init__(
        self,
        config: Config,
        programs: Programs,
        train_set: Dataset,
        eval_set: Dataset,
        given: StoredProposals | None = None,
    ) -> None:
        self._config, self._programs = config, programs
        self._train_set, self._eval_set, self._given = train_set, eval_set, given

    def __call__(self, state: TrainState, batch: Batch, stage: Stage) -> None:
        """Begin with what the other steps of a phase need, and go on with its evaluations.

        Args:
            state: after the phase's first step.
            batch: of that step, on the devices.
            stage: what is trained.
        """
        if int(state.step) < self._config.train.steps:
            self._compile_steps(state, batch, stage)
        if stage != "rpn":  # which is not evaluated
            self._compile_evaluations(state)

    def _compile_steps(self, state: TrainState, batch: Batch, stage: Stage) -> None:
        shape, dataset = batch.images.shape[1:], self._train_set
        if batch.extra is None:  # so that transforms need not run
            dataset = dataclasses.replace(dataset, transforms=())
        for empty in empty_train_batches(dataset, self._config):
            if empty.images.shape[1:] != shape:
                images, extra = jax.tree.map(
                    _of_one_image, (empty.images, empty.extra), (batch.images, batch.extra)
                )
                others = batch._replace(images=images, extra=extra)
                self._programs.train_step.compile_ahead(state, others, stage)

    def _compile_evaluations(self, state: TrainState) -> None:
        config, programs, step = self._config, self._programs, int(state.step)
        variables = finished(config, eval_variables(state), step)
        given = self._given if takes_given(config, step - 1) else None
        for empty in empty_eval_batches(self._eval_set, config, given):
            programs.eval_step.compile_ahead(variables, programs.put_batch(empty))

    def close(self) -> None:
        """Leave out what has not begun."""
        for program in (self._programs.train_step, self._programs.eval_step):
            program.forget()


def _of_one_image(one: Any, like: jax.Array) -> jax.ShapeDtypeStruct:
    """The shape of a batch's array by that of one image, (1, ...), on the devices as another."""
    shape = (len(like), *one.shape[1:])
    return jax.ShapeDtypeStruct(shape, like.dtype, sharding=like.sharding)


class Given(NamedTuple):
    """Proposals of another run; None where the run has its own."""

    train: StoredProposals | None
    eval: StoredProposals | None


def read_given(config: Config, train_set: Dataset, eval_set: Dataset) -> Given:
    """Read and check data.train_proposals and data.eval_proposals, if there are any.

    Raises:
        DataError: a file cannot be read, or is for other images.
    """
    files = (config.data.train_proposals, train_set), (config.data.eval_proposals, eval_set)
    return Given(*(read_proposals(path, dataset) if path else None for path, dataset in files))


class Feed:
    """The training batches of a run, phase after phase, with the proposals that a phase is given.

    Args:
        config: of the run.
        programs: compiled for it.
        dataset: the training set.
        progress: shows how far its proposals are.
        given: proposals for it from a file, if any.
    """

    def __init__(
        self,
        config: Config,
        programs: Programs,
        dataset: Dataset,
        progress: Progress,
        given: StoredProposals | None = None,
    ) -> None:
        self._config, self._programs = config, programs
        self._dataset, self._progress, self._given = dataset, progress, given
        self._stream: BatchStream[Batch] | None = None
        self.unread: dict[str, None] = {}
        """A line for each image so far that could not be read, in order (an ordered set)."""

    def start(self, state: TrainState) -> Iterator[Batch]:
        """The batches of the steps after a state, in place of those before.

        Raises:
            DataError: an image is unreadable and data.on_error is "raise".
        """
        self.close()
        proposals = self._proposals(state)
        self._stream = train_batches(self._dataset, self._config, int(state.step), proposals)
        return self._stream

    def _proposals(self, state: TrainState) -> StoredProposals | None:
        """For the phase of the step after a state; None where it makes them itself, or needs none.

        A phase does not change the network that proposes to it, so that a run which goes on in its
        middle makes the same ones again.
        """
        config, step = self._config, int(state.step)
        if takes_given(config, step):
            return self._given
        if stage_of(config, step) != "fast_rcnn" or not config.train.alternating.keep_proposals:
            return None
        with self._progress.activity(
            "computing proposals", "computed the proposals", len(self._dataset)
        ) as activity:
            predict = predictor(
                *(self._programs, self._programs.propose, "the RPN"),
                *(state.variables, self._progress, activity),
                train=True,
            )
            found = find_proposals(predict, self._dataset, config)
        self.unread.update(dict.fromkeys(found.unread))
        return join_proposals(self._dataset, found.proposals)

    def close(self) -> None:
        """End the threads or processes that make batches."""
        if self._stream is not None:
            self._stream.close()
            self.unread.update(self._stream.unread)
            self._stream = None


def check_start(config: Config, programs: Programs, class_names: Sequence[str]) -> None:
    """See that a new run can start, before anything is written or compiled.

    Raises:
        ConfigError: the initial weights do not fit the config, a frozen norm has none, or there is
            no such layer as train.freeze or train.optimizer.rate_factors names.
    """
    layers = config.train.freeze or config.train.optimizer.rate_factors
    if config.train.init or layers or config.model.backbone.norm == "frozen":
        shapes = programs.state_shapes().variables
        check_layers(config, shapes)
        own = {collection: shapes[collection] for collection in COLLECTIONS}
        check_init(config, own, class_names)


def first_state(
    config: Config,
    programs: Programs,
    progress: Progress,
    class_names: Sequence[str] | None = None,
) -> TrainState:
    """The state at step 0, with train.init's weights if any.

    Args:
        config: of the run.
        programs: compiled for it.
        progress: says what was loaded and what re-initialised.
        class_names: of the run, in label order; without them all rows of train.init's last layers
            are taken as they are.
    """
    with progress.activity("initialising the parameters", "initialised the parameters"):
        state = jax.block_until_ready(programs.create_state())
    if not config.train.init:
        return state
    own = {collection: state.variables[collection] for collection in COLLECTIONS}
    variables, lines = read_init(config, own, class_names)
    for line in lines:
        progress.message(line)
    average = None if state.average is None else jax.tree.map(jnp.copy, variables["params"])
    return state._replace(variables={**state.variables, **variables}, average=average)

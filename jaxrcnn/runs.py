"""One training run in its folder: state -> steps -> checkpoints, metrics, detections.

`train.py` runs one of a person's config, a study many of its own.
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Collection, Iterator, Sequence

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.data.datasets import check_classes
from jaxrcnn.data.fingerprint_file import describe_data
from jaxrcnn.data.planning import images_per_epoch
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import COLLECTIONS, Detector
from jaxrcnn.feeding import Feed, LookAhead, read_given
from jaxrcnn.interop.initial_weights import check_init, read_init
from jaxrcnn.provenance import check_data, find_provenance, write_provenance
from jaxrcnn.run_scores import score_line, scores
from jaxrcnn.scoring import Evaluations, check_keep_best, check_test, score_test
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.agreement import interruption_of_run
from jaxrcnn.training.alternating import check_restarts, describe_phases
from jaxrcnn.training.best import best_so_far
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.damage import find_damage, leave_out
from jaxrcnn.training.epochs import describe_epochs, describe_schedule, with_epochs
from jaxrcnn.training.failure import recorded_failure
from jaxrcnn.training.finite import LastSteps
from jaxrcnn.training.gates import describe_gate
from jaxrcnn.training.host_folder import claimed, of_one_process
from jaxrcnn.training.hosts import gather, is_first, several
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.layers import check_layers
from jaxrcnn.training.loop import Log, evaluates_after, run_steps
from jaxrcnn.training.memory import Forecast, memory_errors
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.peers import own_errors
from jaxrcnn.training.pieces import claim_pieces, own_pieces
from jaxrcnn.training.profiling import Profiler
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.resumable import describe_changes
from jaxrcnn.training.retries import disk_errors
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.trackers import Tracker, open_trackers, require_trackers
from jaxrcnn.training.watchdog import Watchdog, report_stuck
from jaxrcnn.types import Batch


@disk_errors()
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
        CheckpointError: the last checkpoint is damaged, or one could not be written.
        ConfigError: the folder holds a run of another config or of other pieces, or another
            process runs in it, a data set has another number of classes than the model or is not
            the one that the run began with (and train.on_changed_data is "stop"), the initial
            weights do not fit the config, a layer to freeze or a part to restart is missing, a
            batch cannot be shared out evenly among the devices, train.keep_best is no metric, or a
            tracker is not installed.
        DataError: an image is unreadable and data.on_error is "raise", or a file of proposals is
            not for these sets.
        NonFiniteLossError: training diverged.
        Interrupted: SIGTERM, SIGINT or SIGHUP came, and the state is saved.
        PeerError: another process of the run is gone.
    """
    workdir = pathlib.Path(workdir)
    if several():
        config, trackers = of_one_process(config), trackers if is_first() else ()
    watchdog = Watchdog(config.train.watchdog, functools.partial(report_stuck, workdir))
    with (
        claimed(workdir, print) as folder,
        interruption_of_run(config.train.stop_seconds) as interruption,
    ):
        unread = _run(
            *(config, folder, detector, train_set, eval_set, optimizer, test_set, trackers),
            *(interruption, watchdog),
        )
        return dict.fromkeys(line for lines in gather(list(unread)) for line in lines)


def _run(
    config: Config,
    workdir: pathlib.Path,
    detector: Detector,
    train_set: Dataset,
    eval_set: Dataset,
    optimizer: Optimizer,
    test_set: Dataset | None,
    trackers: Sequence[Tracker],
    interruption: Interruption,
    watchdog: Watchdog,
) -> Collection[str]:
    """`run` in a folder that is its own."""
    for dataset in (train_set, eval_set, *([test_set] if test_set else [])):
        check_classes(dataset, config)
    damage = find_damage(workdir, config)
    data = check_data(config, workdir, describe_data(config, train_set, eval_set), damage.good)
    config = with_epochs(config, epoch_length(train_set, config))
    config, changes = run_folder.change(workdir, config, damage.good, moved=data.is_known)
    check_keep_best(config, eval_set)
    if test_set is not None:
        check_test(config)
    require_trackers(config)
    programs = compile_programs(detector, config, optimizer)
    given = read_given(config, train_set, eval_set)
    if not damage.good:
        check_start(config, programs, train_set.class_names)
    own = own_pieces(
        detector,
        optimizer=None if optimizer is default_optimizer else optimizer,
        train_transforms=train_set.transforms,
        eval_transforms=eval_set.transforms,
    )
    provenance = find_provenance(config, workdir, data, damage.good)
    if not changes:  # else it is there, and of this config but for those
        open_folder(config, workdir, train_set)
    with (
        Progress(config.train.steps, interruption, watchdog) as progress,
        Checkpoints(
            workdir, config.train.keep_checkpoints, provenance.origin, say=progress.message
        ) as checkpoints,
    ):
        claim_pieces(workdir, own, progress.message)
        lines = leave_out(workdir, damage)
        write_provenance(workdir, provenance)
        run_folder.write_changes(workdir, config, changes)
        lines += [*describe_changes(config, changes), *provenance.lines]
        for line in [*lines, *describe_training(config, train_set, optimizer)]:
            progress.message(line)
        first = functools.partial(first_state, config, programs, progress, train_set.class_names)
        state = restore(programs, checkpoints, progress) if checkpoints.steps else first()
        check_restarts(config, state.variables)

        def name_image(index: int) -> str:
            return train_set.records[index].name

        step, last = int(state.step), LastSteps(config)
        followers = open_trackers(config, workdir, step, trackers, progress.message)
        with (
            MetricsWriter(workdir, step, followers, progress.message) as writer,
            contextlib.closing(Feed(config, programs, train_set, progress, given.train)) as feed,
            contextlib.closing(
                LookAhead(config, programs, train_set, eval_set, given.eval)
            ) as look,
            contextlib.closing(Profiler(config, workdir, progress.message, step)) as profiler,
            # The metrics that a signal has written may be those of a step that diverged.
            recorded_failure(workdir, config, last, checkpoints, name_image),
            interruption.saving(checkpoints),
            own_errors(),  # what is around cleans up
        ):
            log = Log(config, writer, progress, name_image)
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
                forecast = Forecast(config, programs.train_step, progress.message)
                with watchdog, memory_errors(config):  # of steps, which begin and end here
                    state = run_steps(
                        *(config, programs, state, batches, checkpoints, log, evaluate, first),
                        None
                        if several()
                        else look,  # compilers of several hosts may exchange notes
                        *(profiler, interruption, last, forecast),
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

"""One training run in its folder: state -> steps -> checkpoints, metrics, detections.

`train.py` runs one of a person's config, a study many of its own.
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import COLLECTIONS, Detector
from jaxrcnn.feeding import Feed, LookAhead
from jaxrcnn.interop.initial_weights import read_init
from jaxrcnn.run_scores import score_line, scores
from jaxrcnn.run_start import Start, open_folder, prepare, write_start
from jaxrcnn.scoring import Evaluations, score_test
from jaxrcnn.training.agreement import interruption_of_run
from jaxrcnn.training.alternating import check_restarts
from jaxrcnn.training.best import best_so_far
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.failure import recorded_failure
from jaxrcnn.training.finite import LastSteps
from jaxrcnn.training.host_folder import claimed, of_one_process
from jaxrcnn.training.hosts import gather, is_first, several
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.log import Log
from jaxrcnn.training.loop import Loop, evaluates_after
from jaxrcnn.training.memory import Forecast, memory_errors
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.peers import own_errors
from jaxrcnn.training.profiling import Profiler
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.retries import disk_errors
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.trackers import Tracker, open_trackers
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
        start = prepare(config, folder, detector, train_set, eval_set, test_set, optimizer)
        if not start.changes:  # else the folder is there, and of this config but for those
            open_folder(start.config, folder, train_set)
        with Progress(start.config.train.steps, interruption, watchdog) as progress:
            unread = _train(start, trackers, progress, interruption, watchdog)
        return dict.fromkeys(line for lines in gather(list(unread)) for line in lines)


def _train(
    start: Start,
    trackers: Sequence[Tracker],
    progress: Progress,
    interruption: Interruption,
    watchdog: Watchdog,
) -> Collection[str]:
    """Train to the end; a line for each image that could not be read."""
    config, workdir, programs = start.config, start.workdir, start.programs
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(
                *(workdir, config.train.keep_checkpoints, start.provenance.origin),
                say=progress.message,
            )
        )
        write_start(start, progress.message)
        names = start.train_set.class_names
        first = functools.partial(first_state, config, programs, progress, names)
        state = restore(programs, checkpoints, progress) if checkpoints.steps else first()
        check_restarts(config, state.variables)
        step = int(state.step)
        followers = open_trackers(config, workdir, step, trackers, progress.message)
        writer = stack.enter_context(MetricsWriter(workdir, step, followers, progress.message))
        evaluate = Evaluations(
            *(config, programs, start.eval_set, workdir, progress),
            *(writer, followers, checkpoints, start.given.eval),
        )
        feed = Feed(config, programs, start.train_set, progress, start.given.train)
        stack.enter_context(contextlib.closing(feed))
        log = Log(config, writer, progress, start.name_image)
        loop = stack.enter_context(
            _steps(start, step, feed, checkpoints, log, evaluate, first, interruption)
        )
        for line in describe_start(config, workdir, step):
            progress.message(line)
        if evaluates_after(config, step) and not scores(workdir, step):
            evaluate(state)  # the run died between this checkpoint and its evaluation
        if not evaluate.so_far.is_over:
            with watchdog, memory_errors(config):  # of steps, which begin and end here
                state = loop.run(state)
        if start.test_set is not None:
            score_test(
                *(config, programs, state, evaluate.so_far.best, checkpoints),
                *(start.test_set, workdir, progress, writer),
            )
    return feed.unread


@contextlib.contextmanager
def _steps(
    start: Start,
    step: int,
    feed: Feed,
    checkpoints: Checkpoints,
    log: Log,
    evaluate: Evaluations,
    first: Callable[[], TrainState],
    interruption: Interruption,
) -> Iterator[Loop]:
    """The steps of a run after one; where they end early, the last good state is saved."""
    config, workdir, programs = start.config, start.workdir, start.programs
    say, last = log.progress.message, LastSteps(config)
    look = LookAhead(config, programs, start.train_set, start.eval_set, start.given.eval)
    profiler = Profiler(config, workdir, say, step)

    def batches(state: TrainState) -> Iterator[Batch]:
        look.close()  # a phase begins: what the last one would have needed is in its way
        return feed.start(state)

    with (
        contextlib.closing(look),
        contextlib.closing(profiler),
        # The metrics that a signal has written may be those of a step that diverged.
        recorded_failure(workdir, config, last, checkpoints, start.name_image),
        interruption.saving(checkpoints),
        own_errors(),  # what is around cleans up
    ):
        yield Loop(
            *(config, programs, batches, checkpoints, log, evaluate, first),
            look_ahead=None if several() else look,  # compilers of hosts may exchange notes
            profiler=profiler,
            interruption=interruption,
            last=last,
            forecast=Forecast(config, programs.train_step, say),
        )


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

"""One training run in its folder: state -> steps -> checkpoints, metrics, detections.

`train.py` runs one of a person's config, a study many of its own.
"""

import contextlib
import functools
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from jaxrcnn.config import Config
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import COLLECTIONS
from jaxrcnn.evaluation.evaluate import draw_pictures, find, measure, write_detections
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.alternating import check_restarts, describe_phases, finished
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.gates import describe_gate
from jaxrcnn.training.loop import Log, evaluates_after, run_steps
from jaxrcnn.training.metrics import MetricsWriter, Progress
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.step import TrainState, eval_variables


def run(
    config: Config, workdir: pathlib.Path, programs: Programs, train_set: Dataset, eval_set: Dataset
) -> Collection[str]:
    """Train, or go on from the workdir's last checkpoint; everything made lies in the workdir.

    Args:
        config: of the run.
        workdir: its folder.
        programs: compiled for the config.
        train_set, eval_set: open.

    Returns:
        A line for each picture that could not be read.

    Raises:
        ConfigError: the folder holds a run of another config, or a part to restart is missing.
        DataError: a picture is unreadable and data.on_error is "raise".
        NonFiniteLossError: training diverged.
    """
    run_folder.claim(workdir, config)
    run_folder.write_classes(workdir, train_set.class_names, train_set.category_ids)
    for line in [*describe_gate(config.model), *describe_phases(config)]:
        print(line)
    with Checkpoints(workdir, config.train.keep_checkpoints) as checkpoints:
        first = functools.partial(first_state, config, programs)
        state = checkpoints.restore(programs.create_state()) if checkpoints.steps else first()
        check_restarts(config, state.variables)
        step = int(state.step)
        print(f"{workdir}: step {step} of {config.train.steps}")
        with (
            MetricsWriter(workdir, step) as writer,
            Progress(config.train.steps, step) as progress,
            contextlib.closing(train_batches(train_set, config, step)) as batches,
        ):
            log = Log(config, writer, progress, lambda index: train_set.records[index].name)

            def evaluate(state: TrainState) -> None:
                metrics = evaluate_state(config, programs, state, eval_set, workdir)
                writer.write(int(state.step), metrics)
                progress.message(f"step {int(state.step)}  {score_line(metrics)}")

            if evaluates_after(config, step) and not scores(workdir, step):
                evaluate(state)  # the run died between this checkpoint and its evaluation
            run_steps(config, programs, state, batches, checkpoints, log, evaluate, first)
    return batches.unread


def first_state(config: Config, programs: Programs) -> TrainState:
    """The state at step 0, with train.init's weights if any."""
    state = programs.create_state()
    if not config.train.init:
        return state
    own = {collection: state.variables[collection] for collection in COLLECTIONS}
    with Checkpoints(pathlib.Path(config.train.init)) as finished_run:
        variables = finished_run.restore_variables(own)
    return state._replace(variables={**state.variables, **variables})


def evaluate_state(
    config: Config, programs: Programs, state: TrainState, dataset: Dataset, workdir: pathlib.Path
) -> dict[str, float]:
    """Evaluate a state and write its detections, as numbers and as pictures."""
    variables = finished(config, eval_variables(state), int(state.step))
    found = find(
        lambda batch: programs.eval_step(variables, programs.put_batch(batch)), dataset, config
    )
    write_detections(workdir / "eval" / "detections.json", dataset, found.detections)
    draw_pictures(workdir / "plots" / "detections.png", dataset, found, config.eval.pictures)
    return measure(found, dataset, config)


def scores(workdir: pathlib.Path, step: int | None = None) -> list[dict[str, Any]]:
    """The evaluations among a run's metrics: all, or those of one step."""
    rows = MetricsWriter.read(workdir / "metrics.jsonl")
    return [row for row in rows if "eval/loss" in row and step in (None, row["step"])]


def score_line(metrics: Mapping[str, float]) -> str:
    """The main scores in a few words."""
    names = ("eval/AP", "eval/AP50", "eval/AP75", "eval/mAP", "eval/loss")
    return "  ".join(
        f"{name.removeprefix('eval/')} {metrics[name]:.3f}"
        for name in names
        if metrics.get(name) is not None
    )

"""Train a detector: python train.py --config configs/NAME.py --workdir DIR --config.FIELD VALUE.

Read it in order: data -> detector -> programs -> state -> steps -> results. A fork copies this file
and hands its own pieces to `build` (docs/forking.md).
"""

import contextlib
import functools
import pathlib
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxrcnn.cli.options import parse_train_arguments
from jaxrcnn.cli.parsing import fail
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.curves import plot_curves
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.records import DataError, Dataset
from jaxrcnn.detector import COLLECTIONS, build
from jaxrcnn.evaluation.evaluate import draw_pictures, find, measure, write_detections
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.alternating import check_restarts, describe_phases, finished
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.gates import describe_gate
from jaxrcnn.training.loop import Log, NonFiniteLossError, evaluates_after, run_steps
from jaxrcnn.training.metrics import MetricsWriter, Progress
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.step import TrainState, eval_variables

HERE = pathlib.Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line asks; one line and exit code 2 where that cannot be done."""
    arguments = parse_train_arguments(argv, default_config=HERE / "configs" / "shapes.py")
    try:
        train(arguments.config, arguments.workdir)
    except (ConfigError, DataError, NonFiniteLossError) as error:
        fail(str(error))


def train(config: Config, workdir: pathlib.Path) -> None:
    """Train, or go on from the workdir's last checkpoint; everything made lies in the workdir."""
    train_set, eval_set = open_datasets(config)
    print(train_set.summary(), eval_set.summary(), sep="\n")
    run_folder.claim(workdir, config)
    run_folder.write_classes(workdir, train_set.class_names, train_set.category_ids)

    for line in [*describe_gate(config.model), *describe_phases(config)]:
        print(line)
    detector = build(config.model)
    programs = compile_programs(detector, config)
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
    report(workdir, batches.unread)


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


def report(workdir: pathlib.Path, unread: Collection[str]) -> None:
    """Draw the curves, and say where everything lies."""
    plot_curves(MetricsWriter.read(workdir / "metrics.jsonl"), workdir / "plots")
    for line in unread:
        print(f"left out: {line}")
    for last in scores(workdir)[-1:]:
        print(f"step {last['step']}  {score_line(last)}")
    curves, pictures = ("losses.png", "ap.png", "diagnostics.png"), ("detections.png",)
    for title, names in (("curves", curves), ("pictures", pictures)):
        paths = [workdir / "plots" / name for name in names]
        there = [str(path) for path in paths if path.exists()]
        if there:  # an RPN alone finds nothing that could be drawn
            print(f"{title:8}  {', '.join(there)}")
    print(f"metrics   {workdir / 'metrics.jsonl'}; TensorBoard: {workdir / 'tensorboard'}")
    print(f"weights   {workdir / 'checkpoints'}")


def scores(workdir: pathlib.Path, step: int | None = None) -> list[dict[str, Any]]:
    """The evaluations among the run's metrics: all, or those of one step."""
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


if __name__ == "__main__":
    main(sys.argv[1:])

"""python -m jaxrcnn evaluate MODEL"""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrcnn.cli.run import describe_checkpoint, load_run, note, progress_bar, table
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.datasets import open_eval_dataset, warn_of_training_split
from jaxrcnn.data.planning import note_on_canvases
from jaxrcnn.data.proposals import StoredProposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.coco import CocoScores
from jaxrcnn.evaluation.evaluate import Found, draw_images, find, measure, write_detections
from jaxrcnn.evaluation.report import write_report
from jaxrcnn.model import Model
from jaxrcnn.run_scores import score_line, split_name
from jaxrcnn.scoring import share_of
from jaxrcnn.training.alternating import takes_given
from jaxrcnn.training.hosts import is_first, several
from jaxrcnn.training.mesh import own_part
from jaxrcnn.training.pieces import missing_for_losses
from jaxrcnn.training.workdir import read_config
from jaxrcnn.types import Batch, Detections, Proposals
from jaxrcnn.validation import check

GROUPS = (
    ("average precision", ("eval/AP", "eval/mAP")),
    ("average recall", ("eval/AR",)),
    ("average precision of each class", ("eval/AP_", "eval/voc_AP_")),
    ("losses", ("eval/loss",)),
)
"""Titles of the printed table, and how the names under them begin; the longest beginning wins."""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Evaluate, print a table, and write MODEL/eval/step_N.

    Raises:
        ConfigError: there is no such model or checkpoint, or a field is unsound.
        DataError: the evaluation set cannot be read, or data.eval_proposals.
    """
    run = load_run(
        *(arguments.workdir, arguments.checkpoint, arguments.batch_size, fields, arguments.pieces),
        together=True,
    )
    check(run.config)
    dataset = open_eval_dataset(
        run.config, run.classes.names, split_folder(arguments.workdir, run.config)
    )
    checkpoint = describe_checkpoint(run)
    print(f"{arguments.workdir}, {checkpoint}, on {dataset.summary()}", flush=True)
    if line := warn_of_training_split(run.config):
        print(line, flush=True)
    if line := note_on_canvases(dataset, run.config):
        print(line, flush=True)
    missing = missing_for_losses(arguments.workdir, run.detector)
    if missing:
        note(f"losses are left out: the run's were computed with {missing}, which is not given")
    if missing and several():
        raise ConfigError(
            f"evaluation in several processes needs {missing}, with which the run was trained"
        )
    found = find_all(run, dataset, given_proposals(run, dataset), with_losses=not missing)
    if not is_first():
        return 0
    scores = measure(found, dataset, run.config)
    metrics = scores.metrics
    for line in found.unread:
        print(f"left out: {line}")
    print(table(grouped(metrics)))
    if chose_checkpoint(run, read_config(arguments.workdir).data):
        print(f"{score_line(metrics)}, on {split_name(run.config)}, which chose this checkpoint\n")
    write(arguments.workdir / "eval" / f"step_{run.step}", run, dataset, found, scores)
    return 0


def split_folder(workdir: pathlib.Path, config: Config) -> pathlib.Path | None:
    """The folder whose split.json says what is held out: none where other data was asked for."""
    trained, asked = (
        (data.format, data.roots, data.train_splits, data.val_share)
        for data in (read_config(workdir).data, config.data)
    )
    return workdir if trained == asked else None


def chose_checkpoint(run: Model, data: DataConfig) -> bool:
    """Whether the set of a run's evaluation chose its checkpoint, given the run's own data."""
    names = ("format", "root", "eval_split", "val_share", "num_eval_images")
    same = all(getattr(run.config.data, name) == getattr(data, name) for name in names)
    return bool(run.best_by) and same


def given_proposals(run: Model, dataset: Dataset) -> StoredProposals | None:
    """Those of data.eval_proposals where the run's detector makes none of its own."""
    if not takes_given(run.config, run.step - 1):
        return None
    return read_proposals(run.config.data.eval_proposals, dataset)


def find_all(
    run: Model,
    dataset: Dataset,
    proposals: StoredProposals | None = None,
    with_losses: bool = True,
) -> Found:
    """What the run's detector finds in a data set, and its losses there.

    Objects are found without the pieces that only training needs; losses cannot be computed.
    """
    programs = run.programs

    def predict(batch: Batch) -> tuple[Detections, Mapping[str, Any], Proposals | None]:
        if not with_losses:
            return run.detect(batch), {}, None
        found = programs.eval_step(run.variables, programs.put_batch(batch))
        return own_part(found, programs.rows)

    with progress_bar(predict, len(dataset)) as counted:
        return find(counted, dataset, run.config, proposals, share_of(programs))


def grouped(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The metrics by the titles of the printed table, with short names."""
    return {
        title: {_short(name): metrics[name] for name in metrics if _group(name) == title}
        for title, _ in GROUPS
    }


def _group(name: str) -> str:
    """Title of the group that a metric belongs to."""
    starts = {start: title for title, starts in GROUPS for start in starts}
    return starts[max((start for start in starts if name.startswith(start)), key=len)]


def _short(name: str) -> str:
    return name.removeprefix("eval/").removeprefix("AP_").replace("voc_AP_", "voc ")


def write(
    folder: pathlib.Path, run: Model, dataset: Dataset, found: Found, scores: CocoScores
) -> None:
    """Write the metrics, the detections as numbers and as images, and a report; say where."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, detections = folder / "metrics.json", folder / "detections.json"
    images = folder / "detections.png"
    content = {"step": run.step, **scores.metrics}
    numbers.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_detections(detections, dataset, found.detections)
    draw_images(images, dataset, found, run.config.eval.images)
    print(f"metrics     {numbers}", f"detections  {detections}", sep="\n")
    if images.exists():
        print(f"images      {images}")
    model = run.folder.resolve().name if run.folder else ""
    _, page = write_report(
        *(folder, dataset, found.detections, scores),
        covers=found.covers,
        title=f"{model}, {describe_checkpoint(run)}",
        step=run.step,
        max_detections=run.config.eval.max_detections,
    )
    print(f"report      {page}")

"""python -m jaxrcnn evaluate MODEL, or DETECTIONS.json"""

import argparse
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxrcnn.cli.evaluate_results import evaluate_results
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.run import describe_checkpoint, load_run, note, progress_bar
from jaxrcnn.cli.scores import score_table, write_scores
from jaxrcnn.cli.test_time import note_on_shapes, read_test_time
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.datasets import open_eval_dataset, warn_of_training_split
from jaxrcnn.data.proposals import StoredProposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.augmented import find_augmented
from jaxrcnn.evaluation.coco import ImageDetections, detections_to_coco
from jaxrcnn.evaluation.coco_backends import check_backend
from jaxrcnn.evaluation.evaluate import Found, find, measure, write_detections
from jaxrcnn.evaluation.views import TestTime
from jaxrcnn.model import Model
from jaxrcnn.run_scores import score_line, split_name
from jaxrcnn.scoring import share_of
from jaxrcnn.training.alternating import takes_given
from jaxrcnn.training.hosts import from_first, is_first, several
from jaxrcnn.training.mesh import own_part
from jaxrcnn.training.pieces import missing_for_losses
from jaxrcnn.training.workdir import read_config
from jaxrcnn.types import Batch, Detections, Proposals
from jaxrcnn.validation import check


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Evaluate, print a table, and write MODEL/eval/step_N, or a folder beside DETECTIONS.json.

    Raises:
        ConfigError: there is no such model or checkpoint, or a field is unsound.
        DataError: the evaluation set cannot be read, or data.eval_proposals.
    """
    if arguments.workdir.suffix.lower() == ".json" and not arguments.workdir.is_dir():
        return evaluate_results(arguments, fields)
    if arguments.data is not None:
        raise ConfigError("--data is for DETECTIONS.json; for a model, set --config.data.root")
    test_time = read_test_time(arguments)
    run = load_run(
        *(arguments.workdir, arguments.checkpoint, arguments.batch_size, fields, arguments.pieces),
        together=True,
    )
    check(run.config)
    check_backend(run.config.eval.backend)
    dataset = open_eval_dataset(
        run.config, run.classes.names, split_folder(arguments.workdir, run.config)
    )
    checkpoint = describe_checkpoint(run)
    print(f"{arguments.workdir}, {checkpoint}, on {dataset.summary()}", flush=True)
    if line := warn_of_training_split(run.config):
        print(line, flush=True)
    if line := note_on_shapes(dataset, run.config, test_time):
        print(line, flush=True)
    missing = missing_for_losses(arguments.workdir, run.detector)
    if test_time.is_plain and missing:
        note(f"losses are left out: the run's were computed with {missing}, which is not given")
    if missing and several():
        raise ConfigError(
            f"evaluation in several processes needs {missing}, with which the run was trained"
        )
    folder = arguments.out or arguments.workdir / "eval" / _name(run, test_time)
    from_first(lambda: make_folder(folder))
    proposals = given_proposals(run, dataset)
    if test_time.is_plain:
        found = find_all(run, dataset, proposals, with_losses=not missing)
    else:
        check_views(proposals)
        found = find_in_views(run, dataset, test_time)
    if not is_first():
        return 0
    results = detections_to_coco(dataset, found.detections)
    scores = measure(found, dataset, run.config, results)
    metrics = scores.metrics
    for line in found.unread:
        print(f"left out: {line}")
    print(score_table(metrics))
    if chose_checkpoint(run, read_config(arguments.workdir).data):
        print(f"{score_line(metrics)}, on {split_name(run.config)}, which chose this checkpoint\n")
    about, title = {"step": run.step}, f"{arguments.workdir.resolve().name}, {checkpoint}"
    lines = write_scores(folder, dataset, found, scores, run.config.eval, about, title)
    detections = folder / "detections.json"
    write_detections(detections, dataset, results)
    print(*lines, f"detections  {detections}", sep="\n")
    return 0


def _name(run: Model, test_time: TestTime) -> str:
    """What the folder of the scores is called, without that of the run."""
    return "_".join(filter(None, (f"step_{run.step}", test_time.name)))


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


def check_views(proposals: StoredProposals | None) -> None:
    """See that images can be searched in several views.

    Raises:
        ConfigError: the detector has given proposals, or there are several processes.
    """
    options = "--flip, --scales and --tile"
    if proposals is not None:
        raise ConfigError(f"{options} require a detector that makes its own proposals")
    if several():
        raise ConfigError(f"{options} work in one process only: leave out --distributed")


def find_in_views(run: Model, dataset: Dataset, test_time: TestTime) -> Found:
    """What the run's detector finds in several views of each image; without losses."""
    detector = run.of_views()
    unread: dict[str, None] = {}

    def predict(batch: Batch) -> tuple[Detections, Mapping[str, Any], None]:
        return detector.detect(batch), {}, None

    with progress_bar(predict, test_time.number_of_views(dataset)) as counted:

        def find_views(views: Dataset, config: Config) -> Iterator[tuple[int, ImageDetections]]:
            found = find(counted, views, config, None, share_of(detector.programs))
            unread.update(dict.fromkeys(found.unread))
            yield from found.detections.items()

        found = find_augmented(find_views, dataset, run.config, test_time, len(dataset))
        return Found(dict(found), {}, tuple(unread))


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

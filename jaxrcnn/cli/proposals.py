"""python -m jaxrcnn proposals WORKDIR"""

import argparse
import json
import pathlib
from collections.abc import Mapping

from jaxrcnn.cli.run import describe_checkpoint, load_run, progress_bar, table
from jaxrcnn.config import ConfigError
from jaxrcnn.data.datasets import open_eval_dataset, open_train_dataset
from jaxrcnn.data.proposals import write_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.proposals import FoundProposals, find_proposals, proposal_metrics
from jaxrcnn.model import Model, check_proposes
from jaxrcnn.types import Batch, Proposals

FILES = {"eval": "proposals.json", "train": "proposals_train.json"}
"""Splits, and where the numbers of each go in the folder of the step."""


def main(arguments: argparse.Namespace) -> int:
    """Measure the proposals, print a table, write WORKDIR/eval/step_N and the dump.

    Raises:
        ConfigError: there is no such run or checkpoint, it makes no proposals, or --dump cannot be
            written.
        DataError: the data set cannot be read.
    """
    run = load_run(
        arguments.workdir, arguments.checkpoint, arguments.batch_size, pieces=arguments.pieces
    )
    check_proposes(run)
    dataset = open_split(run, arguments.split, arguments.workdir)
    if arguments.dump:
        make_room(arguments.dump)
    checkpoint = describe_checkpoint(run)
    print(f"{arguments.workdir}, {checkpoint}, on {dataset.summary()}", flush=True)
    found = find_all(run, dataset)
    metrics = proposal_metrics(dataset, found.proposals)
    for line in found.unread:
        print(f"left out: {line}")
    print(table(grouped(metrics)))
    write(arguments.workdir / "eval" / f"step_{run.step}" / FILES[arguments.split], run, metrics)
    if arguments.dump:
        dump(arguments.dump, dataset, found)
    return 0


def open_split(run: Model, split: str, workdir: pathlib.Path) -> Dataset:
    """The run's training or evaluation set."""
    if split == "train":
        return open_train_dataset(run.config, workdir)
    return open_eval_dataset(run.config, run.classes.names, workdir)


def make_room(path: pathlib.Path) -> None:
    """Make the dump's folder, before the long work and not after it.

    Raises:
        ConfigError: it cannot be made, or a folder has the dump's name.
    """
    if path.is_dir():
        raise ConfigError(f"--dump: {path} is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--dump: {path.parent} cannot be made ({error.strerror})") from error


def find_all(run: Model, dataset: Dataset) -> FoundProposals:
    """What the run's first stage proposes in a data set."""

    def of_batch(batch: Batch) -> Proposals:
        return run.programs.propose(run.variables, run.programs.put_batch(batch))

    with progress_bar(of_batch, len(dataset)) as counted:
        return find_proposals(counted, dataset, run.config)


def grouped(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The metrics by the titles of the printed table, with short names."""
    short = {name.removeprefix("proposals/"): value for name, value in metrics.items()}
    return {
        "average recall, IoU 0.50 to 0.95": {k: v for k, v in short.items() if k.startswith("AR")},
        "recall by the best 1000 proposals": {
            f"IoU 0.{k.removeprefix('recall@1000_IoU')}": v
            for k, v in short.items()
            if k.startswith("recall@1000_IoU")
        },
        "proposals of an image": {"mean": short["per_image"]},
    }


def write(path: pathlib.Path, run: Model, metrics: Mapping[str, float]) -> None:
    """Write the metrics; say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"step": run.step, **metrics}, indent=2) + "\n", encoding="utf-8")
    print(f"metrics     {path}")


def dump(path: pathlib.Path, dataset: Dataset, found: FoundProposals) -> None:
    """Write the proposals; say where.

    Raises:
        ConfigError: that fails, for want of room or of permission.
    """
    try:
        write_proposals(path, dataset, found.proposals)
    except OSError as error:
        raise ConfigError(f"--dump: {path} cannot be written ({error.strerror})") from error
    print(f"proposals   {path}")

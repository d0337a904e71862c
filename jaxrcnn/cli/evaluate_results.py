"""jaxrcnn evaluate DETECTIONS.json --data DIR: the scores of any detector's results."""

import argparse
import pathlib
from collections.abc import Sequence
from dataclasses import replace

from jaxrcnn.cli.options import apply_fields
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.run import note
from jaxrcnn.cli.scores import score_table, write_scores
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.datasets import open_split
from jaxrcnn.evaluation.coco_backends import check_backend
from jaxrcnn.evaluation.evaluate import Found, measure
from jaxrcnn.evaluation.results_file import read_results
from jaxrcnn.validation import check_data
from jaxrcnn.wording import counted


def evaluate_results(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Score the detections of a file, print a table, and write it to a folder beside the file.

    Raises:
        ConfigError: the data are not named, or a field is unsound.
        DataError: the data or the file cannot be read, or do not belong together.
    """
    path: pathlib.Path = arguments.workdir
    config = results_config(arguments, fields)
    dataset = open_split(config)
    results = read_results(path, dataset)
    folder = arguments.out or path.with_name(f"{path.stem}_eval")
    make_folder(folder)
    print(f"{path}, {counted(len(results.rows), 'detection')}, on {dataset.summary()}", flush=True)
    for line in results.notes:
        note(f"{path}: {line}")
    found = Found(results.detections, {}, ())
    scores = measure(found, dataset, config, results.rows)  # of boxes as precise as the file's
    print(score_table(scores.metrics))
    print(*write_scores(folder, dataset, found, scores, config.eval, {}, path.name), sep="\n")
    return 0


def results_config(arguments: argparse.Namespace, fields: Sequence[str]) -> Config:
    """The config of an evaluation without a model, checked.

    Raises:
        ConfigError: see `evaluate_results`, or an option is of use with a model alone.
    """
    path, data = arguments.workdir, arguments.data
    for option in ("checkpoint", "batch_size", "pieces", "flip", "scales", "tile"):
        if getattr(arguments, option):
            name = option.replace("_", "-")
            raise ConfigError(f"--{name} requires a model: {path} contains detections only")
    anew = DataConfig(format="auto", train_splits=(), eval_split="")
    config = apply_fields(Config(data=anew), fields)
    if data is not None:
        config = replace(config, data=replace(config.data, root=str(data)))
    if not config.data.root:
        raise ConfigError(f"{path}: name the folder of the annotations with --data DIR")
    # The split is found out when the data are opened; until then any name will do.
    check_data(replace(config, data=replace(config.data, eval_split=config.data.eval_split or "x")))
    check_backend(config.eval.backend)
    return config

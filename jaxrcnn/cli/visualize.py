"""python -m jaxrcnn visualize [DIR] [--config CONFIG] --out DIR"""

import argparse
import pathlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxrcnn import validation
from jaxrcnn.cli.evaluate import split_folder
from jaxrcnn.cli.fed_steps import Subject, fed_steps
from jaxrcnn.cli.folder import derived_config
from jaxrcnn.cli.options import Asked, apply_fields, asked_fields, init_of
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.cli.run import describe_checkpoint, load_run
from jaxrcnn.cli.step_sheets import draw_image
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.datasets import open_train_dataset
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.run_start import check_start, epoch_length
from jaxrcnn.runs import first_state
from jaxrcnn.training.alternating import stage_of, takes_given
from jaxrcnn.training.epochs import with_epochs
from jaxrcnn.training.pieces import build_detector
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.workdir import read_config
from jaxrcnn.visualize import save_image_sheet
from jaxrcnn.wording import counted, legible

KEPT = (
    "note: with train.alternating.keep_proposals, training samples RoIs from proposals that it "
    "computes once on the images without augmentation; those drawn here are sampled from "
    "proposals for the augmented images"
)
INDEX_SIDE = 1100
"""Pixels of the longer side of an image's sheet in index.png."""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Draw what some training steps are fed, and write it to --out.

    Raises:
        ConfigError: there is no such run or config, a field is unsound, the run has no such step,
            or --out cannot be written to.
        DataError: the training set cannot be read.
    """
    if arguments.source is None and arguments.config is None:
        raise ConfigError(
            "name the folder of a run or of labelled images, or a config with --config"
        )
    subject = _subject(arguments, fields)
    if arguments.pushes and subject.config.train.scheme != "joint":
        raise ConfigError("--pushes: only joint training has a gradient to the proposals")
    steps = subject.config.train.steps
    if arguments.step > steps:
        raise ConfigError(f"--step {arguments.step}: there are {counted(steps, 'training step')}")
    make_folder(arguments.out)
    sheets = []
    last = min(steps, arguments.step + arguments.steps - 1)
    numbers = range(arguments.step - 1, last)
    if _keeps_proposals(subject.config, numbers):
        print(KEPT, flush=True)
    for step in fed_steps(subject, numbers, arguments.images, arguments.pushes):
        for place in range(len(step.batch.images)):
            name, image, line = draw_image(subject, step, place)
            path = arguments.out / name
            _save(path, image)
            print(legible(f"{path}  {line}"), flush=True)
            sheets.append(_smaller(image))
    if not sheets:
        raise ConfigError("none of the images of these steps can be read")
    save_image_sheet(arguments.out / "index.png", sheets)
    print(f"{arguments.out / 'index.png'}  all images")
    return 0


def _keeps_proposals(config: Config, numbers: range) -> bool:
    """Whether training would sample the RoIs of some steps from proposals that it keeps."""
    return config.train.alternating.keep_proposals and any(
        stage_of(config, number) == "fast_rcnn" and not takes_given(config, number)
        for number in numbers
    )


def _subject(arguments: argparse.Namespace, fields: Sequence[str]) -> Subject:
    source, pieces = arguments.source, arguments.pieces
    if source is not None and (source / "config.json").is_file():
        if arguments.config or arguments.init:
            raise ConfigError(f"{source} is a run, which has its own config and weights")
        return _finished(source, arguments, fields)
    if arguments.checkpoint is not None:
        raise ConfigError("--checkpoint requires the folder of a run")
    config = _config(arguments, fields)
    detector = build_detector(config.model, find_build(pieces), arguments.out)
    dataset = open_train_dataset(config)
    print(f"training    {dataset.summary()}", flush=True)
    config = with_epochs(config, epoch_length(dataset, config))
    programs = compile_programs(detector, config)
    check_start(config, programs, dataset.class_names)
    with Progress(config.train.steps) as progress:
        state = first_state(config, programs, progress, dataset.class_names)
    return Subject(config, detector, state.variables, dataset, trained=False)


def _finished(
    workdir: pathlib.Path, arguments: argparse.Namespace, fields: Sequence[str]
) -> Subject:
    """The run in a folder, with the weights of its checkpoint."""
    run = load_run(workdir, arguments.checkpoint, None, fields, arguments.pieces)
    train = apply_fields(read_config(workdir), fields).train  # a model in use has other batches
    config = replace(run.config, train=train)
    validation.check(config)
    dataset = open_train_dataset(config, split_folder(workdir, config))
    print(f"{workdir}, {describe_checkpoint(run)}, on {dataset.summary()}", flush=True)
    return Subject(config, run.detector, run.variables, dataset, trained=True)


def _config(arguments: argparse.Namespace, fields: Sequence[str]) -> Config:
    """The config that is named, or the one that `jaxrcnn train DIR` would derive."""

    def say(line: str) -> None:
        print(legible(line), flush=True)

    values = asked_fields(fields)
    if arguments.init is not None:
        values["train.init"] = init_of(arguments.init)
    base = None if arguments.config is None else load_config(arguments.config)
    if arguments.source is not None:
        return derived_config(Asked((str(arguments.source),), base, values), say)
    assert base is not None
    config = replace_fields(base, values)
    validation.check(config)
    config, lines = resolve_data(config)
    for line in lines:
        say(line)
    return config


def _save(path: pathlib.Path, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(image).save(path)


def _smaller(image: np.ndarray) -> Any:
    from PIL import Image

    small = Image.fromarray(image)
    small.thumbnail((INDEX_SIDE, INDEX_SIDE))
    return np.array(small)

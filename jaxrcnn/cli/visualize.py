"""python -m jaxrcnn visualize [DIR] [--config CONFIG] --out DIR"""

import argparse
import contextlib
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn import validation
from jaxrcnn.cli.evaluate import split_folder
from jaxrcnn.cli.folder import derived_config
from jaxrcnn.cli.options import Asked, apply_fields, asked_fields, init_of
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.cli.run import describe_checkpoint, load_run
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.batches import make_train_batch
from jaxrcnn.data.datasets import open_train_dataset
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.planning import Plan, plan_training
from jaxrcnn.data.proposals import StoredProposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.push_images import Pushed, push_panel
from jaxrcnn.run_start import check_start, epoch_length
from jaxrcnn.runs import first_state
from jaxrcnn.step_images import (
    Canvas,
    Panel,
    Truth,
    anchor_panel,
    detection_panel,
    roi_panel,
    sheet,
    truth_panel,
)
from jaxrcnn.training.alternating import stage_of, takes_given
from jaxrcnn.training.epochs import with_epochs
from jaxrcnn.training.pieces import build_detector
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.pushes import BACKGROUND_BINS, Push, Pushes, pushes_at
from jaxrcnn.training.sampled import Sampled, found, sampled
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.workdir import read_config
from jaxrcnn.types import Batch, Detections
from jaxrcnn.visualize import save_image_sheet
from jaxrcnn.wording import counted, legible

MIN_SCORE = 0.3
"""Detections below are not drawn."""

INDEX_SIDE = 1100
"""Pixels of the longer side of an image's sheet in index.png."""

NO_FLIP = {"horizontal_flip": 0.0, "vertical_flip": 0.0}

FLIPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda image: image,
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored top to bottom": lambda image: image[::-1],
    "mirrored both ways": lambda image: image[::-1, ::-1],
}


class Subject(NamedTuple):
    """What is looked at."""

    config: Config
    detector: Detector
    variables: Variables
    dataset: Dataset
    trained: bool  # so that detections are worth a look


class Step(NamedTuple):
    """One step, in host memory; without the images that are not shown."""

    number: int  # from 1
    batch: Batch
    upright: np.ndarray  # its images before the config's flips
    sampled: Sampled
    detections: Detections | None
    pushes: Pushes | None  # where they are asked for, in place of all else


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
    for step in _steps(subject, numbers, arguments.images, arguments.pushes):
        for place in range(len(step.batch.images)):
            name, image, line = _draw(subject, step, place)
            path = arguments.out / name
            _save(path, image)
            print(legible(f"{path}  {line}"), flush=True)
            sheets.append(_smaller(image))
    if not sheets:
        raise ConfigError("none of the images of these steps can be read")
    save_image_sheet(arguments.out / "index.png", sheets)
    print(f"{arguments.out / 'index.png'}  all images")
    return 0


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
    # A model in use has a batch of its own; the steps are those of the run.
    of_run = apply_fields(read_config(workdir), fields).train
    config = replace(run.config, train=replace(run.config.train, batch_size=of_run.batch_size))
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


def _steps(subject: Subject, numbers: range, most: int, pushes: bool = False) -> Iterator[Step]:
    """The steps, as the training loop would get them."""
    config, dataset = subject.config, subject.dataset
    given = None
    if takes_given(config, numbers.start):
        given = read_proposals(config.data.train_proposals, dataset)
    plan = plan_training(dataset, config)
    draw = jax.jit(sampled, static_argnums=(0, 1), static_argnames="stage")
    find = jax.jit(found, static_argnums=0)
    push = jax.jit(pushes_at, static_argnums=(0, 1))
    until = replace(config, train=replace(config.train, steps=numbers.stop))  # makes none in vain
    with contextlib.closing(train_batches(dataset, until, numbers.start, given)) as batches:
        for number in numbers:
            batch = next(batches)
            for line in batches.unread:
                print(f"left out: {legible(line)}")
            shown = np.flatnonzero(batch.image_weights > 0)[:most]
            some = jax.tree.map(lambda x, shown=shown: x[shown], batch)
            stage = stage_of(config, number)
            fed, own = (batch, shown) if _looks_at_all(config) else (some, slice(None))
            drawn = jax.device_get(
                draw(subject.detector, config, subject.variables, fed, number, stage=stage)
            )
            drawn = jax.tree.map(lambda x, own=own: x[own], drawn)
            detections = None
            if subject.trained and stage != "rpn":
                detections = jax.device_get(find(subject.detector, subject.variables, some))
            pushed = None
            if pushes:
                found_pushes = push(subject.detector, config, subject.variables, fed, number)
                pushed = jax.tree.map(lambda x, own=own: x[own], jax.device_get(found_pushes))
            upright = _upright(subject, plan, number, given, shown.tolist())
            yield Step(number + 1, some, upright, drawn, detections, pushed)


def _looks_at_all(config: Config) -> bool:
    """Whether what is drawn in an image depends on the others of its batch."""
    model = config.model
    return "batch" in (model.backbone.norm, model.neck.norm)


def _upright(
    subject: Subject, plan: Plan, number: int, given: StoredProposals | None, rows: list[int]
) -> np.ndarray:
    """The images of a batch as they are before the flips of the config, which come last."""
    config = subject.config
    config = replace(config, data=replace(config.data, **NO_FLIP))
    bucket, indices = plan.of(number)
    batch, _ = make_train_batch(subject.dataset, config, bucket, indices, number, given, rows)
    return np.asarray(batch.images)


def _draw(subject: Subject, step: Step, place: int) -> tuple[str, np.ndarray, str]:
    """The name of an image's file, its sheet, and what to say of it."""
    batch, names = step.batch, subject.dataset.class_names
    record = subject.dataset.records[int(batch.image_index[place])]
    height, width = batch.image_sizes[place].tolist()
    boxes, labels, valid, ignore = (
        np.asarray(x[place]) for x in (batch.boxes, batch.labels, batch.box_valid, batch.box_ignore)
    )
    real = valid | ignore
    truth = Truth(boxes[real], labels[real], ignore[real])
    drawn: Any = Sampled(*(x[place] for x in step.sampled))
    anchors = drawn.anchors[drawn.anchor_foreground]
    others = int((drawn.anchor_valid & ~drawn.anchor_foreground).sum())
    is_object = drawn.roi_labels > 0
    rois = [drawn.rois[drawn.roi_valid & x] for x in (is_object, ~is_object)]
    stage = stage_of(subject.config, step.number - 1)
    canvas = Canvas(np.asarray(batch.images[place]), (height, width))
    panels = [truth_panel(canvas, truth, names)]
    if stage != "fast_rcnn":
        panels.append(anchor_panel(canvas, truth, anchors, others))
    if stage != "rpn":
        panels.append(roi_panel(canvas, truth, rois[0], rois[1]))
    if step.detections is not None:
        boxes, scores, labels, valid = (np.asarray(x[place]) for x in step.detections[:4])
        kept = valid & (scores >= MIN_SCORE)
        detected = ImageDetections(boxes[kept], scores[kept], labels[kept])
        panels.append(detection_panel(canvas, detected, names, MIN_SCORE))
    if step.pushes is not None:
        panels = _push_panels(canvas, truth, jax.tree.map(lambda x: x[place], step.pushes))
    title = f"Step {step.number}, image {place + 1}: {legible(record.name)}"
    changed = bool(subject.config.data.augment or subject.dataset.transforms)
    how = _describe(step, place, (record.height, record.width), changed)
    image = sheet(title, how, panels)
    stem = re.sub(r"[^\w.-]+", "_", pathlib.PurePath(record.name).stem)[-60:]
    number = counted(int((~truth.ignore).sum()), "box", "boxes")
    line = (
        f"{number}; foreground: {counted(len(anchors), 'anchor')}, {counted(len(rois[0]), 'RoI')}"
    )
    return f"step_{step.number:06}_{place + 1:02}_{stem}.png", image, line


def _push_panels(canvas: Canvas, truth: Truth, pushes: Pushes) -> list[Panel]:
    """Of one image: foreground by both routes, and by pooling the background near objects."""
    ((low, high),) = BACKGROUND_BINS.values()
    near = ~pushes.foreground & (pushes.overlap >= low) & (pushes.overlap < high)

    def panel(name: str, push: Push, kind: Any) -> Panel:
        drawn = np.asarray(kind & push.moves)
        boxes, steps, nearer = (
            np.asarray(x)[drawn] for x in (pushes.boxes, push.step, push.nearer)
        )
        return push_panel(canvas, truth, name, Pushed(boxes, steps, nearer))

    return [
        panel("Pooling, foreground", pushes.pooling, pushes.foreground),
        panel("Targets, foreground", pushes.targets, pushes.foreground),
        panel("Pooling, background", pushes.pooling, near),
    ]


def _describe(step: Step, place: int, stored: tuple[int, int], changed: bool) -> str:
    """How an image became what the network sees: sizes, scale and flips.

    Args:
        step: with its batch.
        place: of the image in it.
        stored: height and width of the image in the data set.
        changed: whether augmentations or transforms may have changed it before it was resized.
    """
    height, width = step.batch.image_sizes[place].tolist()
    inside = (slice(0, height), slice(0, width))
    image, upright = (np.asarray(x[place])[inside] for x in (step.batch.images, step.upright))
    flips = [name for name, flip in FLIPS.items() if np.array_equal(flip(upright), image)]
    scales = height / stored[0], width / stored[1]
    resized = f"resized to {width} x {height}"
    if changed:
        resized = f"augmented, {resized}"
    elif abs(scales[0] / scales[1] - 1) < 0.01:
        resized += f" (x {scales[0]:.2f})"
    rows, columns = step.batch.images.shape[1:3]
    parts = [
        f"{stored[1]} x {stored[0]} pixels, {resized}",
        (flips or [""])[0] or "not mirrored",
        f"padded to {columns} x {rows}",
    ]
    return ", ".join(parts)


def _save(path: pathlib.Path, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(image).save(path)


def _smaller(image: np.ndarray) -> Any:
    from PIL import Image

    small = Image.fromarray(image)
    small.thumbnail((INDEX_SIDE, INDEX_SIDE))
    return np.array(small)

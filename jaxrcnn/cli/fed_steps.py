"""The training steps that `jaxrcnn visualize` shows: their batches and what they sample."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.data.batches import make_train_batch
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.planning import Plan, plan_training
from jaxrcnn.data.proposals import StoredProposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.training.alternating import stage_of, takes_given
from jaxrcnn.training.pushes import Pushes, pushes_at
from jaxrcnn.training.sampled import Sampled, found, sampled
from jaxrcnn.types import Batch, Detections
from jaxrcnn.wording import legible

NO_FLIP = {"horizontal_flip": 0.0, "vertical_flip": 0.0}


class Subject(NamedTuple):
    """The detector and the data whose training steps are shown."""

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
    pushes: Pushes | None  # where they are asked for


def fed_steps(subject: Subject, numbers: range, most: int, pushes: bool = False) -> Iterator[Step]:
    """The steps, as the training loop would get them.

    Args:
        subject: the detector and its data.
        numbers: of the steps, from 0.
        most: number of images per step.
        pushes: whether to compute where the second stage pushes the proposals (joint training).

    Raises:
        DataError: an image is unreadable and data.on_error is "raise".
    """
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
                pushed = jax.device_get(
                    push(subject.detector, config, subject.variables, fed, number)
                )
                pushed = jax.tree.map(lambda x, own=own: x[own], pushed)
            upright = upright_images(subject, plan, number, given, shown.tolist())
            yield Step(number + 1, some, upright, drawn, detections, pushed)


def _looks_at_all(config: Config) -> bool:
    """Whether the samples of an image depend on the other images of its batch."""
    model = config.model
    return "batch" in (model.backbone.norm, model.neck.norm)


def upright_images(
    subject: Subject, plan: Plan, number: int, given: StoredProposals | None, rows: list[int]
) -> np.ndarray:
    """The images of a batch before the config's flips, which come last."""
    config = subject.config
    config = replace(config, data=replace(config.data, **NO_FLIP))
    bucket, indices = plan.of(number)
    batch, _ = make_train_batch(subject.dataset, config, bucket, indices, number, given, rows)
    return np.asarray(batch.images)

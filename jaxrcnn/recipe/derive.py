"""The settings of a run that its data and its machine decide, each with the reason for it."""

import dataclasses
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.buckets import resized_sizes
from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.records import Dataset
from jaxrcnn.nets.backbone import build_backbone
from jaxrcnn.recipe.anchor_fit import Boxes, fitting_sizes, missed_share
from jaxrcnn.recipe.image_sides import Limits, choose_sides
from jaxrcnn.recipe.schedule import choose_batch_size, choose_epochs
from jaxrcnn.recipe.settings import Found, Remark, Setting
from jaxrcnn.wording import counted

MOST_MISSED = 0.1
"""Share of boxes that no anchor reaches above which anchors are scaled."""
LIMITS = {"cpu": Limits(usual=320, largest=480, long=640)}
"""Of the image size by platform, in pixels; `OTHER_LIMITS` on any other."""
OTHER_LIMITS = Limits(usual=800, largest=800, long=1333)

Weights = Literal["a detector", "a backbone", "random"]
"""What training starts from."""


class Machine(NamedTuple):
    """What a run trains on."""

    platform: str  # of the devices, as jax names it
    devices: int


class Known(NamedTuple):
    """What the rules look at."""

    given: Collection[str]  # fields that a person has set, by dotted name
    train_set: Dataset  # all training images with all classes, before some are held out
    images_per_epoch: float
    machine: Machine
    weights: Weights


def derive(config: Config, known: Known) -> tuple[Config, list[Found]]:
    """The config with what the data and the machine decide, and what was derived.

    Fields that a person has set stay. Image sizes and anchors belong to a detector's weights, and
    stay with them.

    Args:
        config: to start from.
        known: about the data, the machine and the weights.

    Raises:
        DataError: there is nothing to train on.
    """
    derived: list[Found] = []
    for rule in (_classes, _sides, _anchors, _batch_size, _epochs, _rate):
        for found in rule(config, known):
            if isinstance(found, Setting):
                if found.name in known.given:
                    continue
                config = replace_fields(config, {found.name: found.value})
            derived.append(found)
    return config, derived


def _classes(_: Config, known: Known) -> Iterator[Found]:
    """The classes that have boxes, unless a person has named the classes."""
    dataset = known.train_set
    labels = dataset.columns.labels
    if not len(labels):
        raise DataError(f"{dataset.summary()}; there are no boxes to train on")
    used = {dataset.class_names[label - 1] for label in np.unique(labels)}
    listed = dataset.source_classes or dataset.class_names
    unused = [name for name in dataset.class_names if name not in used and name in listed]
    named = "data.classes" in known.given
    if unused:
        fate = "kept, since data.classes names them" if named else "left out"
        yield Remark(f"classes without a box in the training images are {fate}: {quoted(unused)}")
    kept = tuple(name for name in dataset.class_names if named or name in used)
    yield Setting("data.classes", kept, "the classes that have boxes")
    yield Setting("model.num_classes", len(kept), "the number of classes")


def _sides(_: Config, known: Known) -> Iterator[Found]:
    """The size that images are resized to."""
    if known.weights == "a detector" or {"data.short_side", "data.long_side"} & {*known.given}:
        return
    boxes = known.train_set.columns.boxes.astype(np.float64)
    box_sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    limits = LIMITS.get(known.machine.platform, OTHER_LIMITS)
    sides = choose_sides(known.train_set.sizes, box_sides, limits)
    yield Setting("data.short_side", sides.short, sides.reason)
    yield Setting("data.long_side", sides.long, "has room for the shape of nearly all images")


def _anchors(config: Config, known: Known) -> Iterator[Found]:
    """The share of boxes that anchors miss; without weights, other sizes where it is large."""
    model = config.model
    strides = build_backbone(model.backbone, model.neck, "float32").strides
    boxes = resized_boxes(known.train_set, config)
    missed = missed_share(boxes, strides, model.anchors)
    text = f"{missed:.1%} of the boxes overlap no anchor with an IoU of 0.5 or more"
    if missed > MOST_MISSED and known.weights == "a detector":
        yield Remark(f"{text}; the anchors are kept, since the weights were trained with them")
    elif missed > MOST_MISSED and "model.anchors.sizes" not in known.given:
        sizes = fitting_sizes(boxes, strides, model.anchors)
        now = missed_share(boxes, strides, dataclasses.replace(model.anchors, sizes=sizes))
        yield Setting("model.anchors.sizes", sizes, f"{text}; with these sizes {now:.1%}")
    else:
        yield Remark(text)


def _batch_size(config: Config, known: Known) -> Iterator[Found]:
    platform, devices = known.machine
    size = choose_batch_size(platform, devices, len(known.train_set))
    where = counted(devices, f"{platform.upper()} device")
    if "train.batch_size" in known.given:
        size = config.train.batch_size
    yield Setting("train.batch_size", size, f"images on {where}")
    yield Setting("eval.batch_size", size, "as in training")


def _epochs(config: Config, known: Known) -> Iterator[Found]:
    if "train.steps" in known.given:
        return
    images, pretrained = known.images_per_epoch, known.weights == "a detector"
    epochs = choose_epochs(images, config.train.batch_size, pretrained)
    start = f"starting from {known.weights}" + ("'s weights" if pretrained else " weights")
    yield Setting("train.epochs", float(epochs), f"for {counted(round(images), 'image')}, {start}")


def _rate(config: Config, _: Known) -> Iterator[Found]:
    """No field is set: the rate follows from the batch size by itself."""
    optimizer, size = config.train.optimizer, config.train.batch_size
    if optimizer.reference_batch_size:
        rate = optimizer.learning_rate * size / optimizer.reference_batch_size
        yield Remark(
            f"the learning rate is {rate:g}: train.optimizer.learning_rate "
            f"{optimizer.learning_rate:g} is for batches of {optimizer.reference_batch_size} images"
        )


def resized_boxes(dataset: Dataset, config: Config) -> Boxes:
    """All boxes of a data set as the network sees them."""
    data, columns = config.data, dataset.columns
    sizes = resized_sizes(dataset.sizes, data.short_side, data.long_side, data.resize)
    scales = (sizes / dataset.sizes)[columns.owners, ::-1]  # (G, 2) across, down
    return Boxes(columns.boxes * np.tile(scales, 2), sizes[columns.owners].astype(float))

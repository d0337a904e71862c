"""One batch, a pure function of the data set, the config, its images and its step."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data import transforms
from jaxrcnn.data.augment import Scene, augment, parse, room_for
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.fast import decoding
from jaxrcnn.data.padding import Fields, Room, check_room, empty_row, pad_extras, pad_sample, stack
from jaxrcnn.data.planning import PADDING
from jaxrcnn.data.proposals import StoredProposals
from jaxrcnn.data.records import Dataset, Record, Transform
from jaxrcnn.data.sample import ImageProposals, Sample, empty_sample
from jaxrcnn.data.sample_checks import run_transforms
from jaxrcnn.data.transforms import PIXELS, RandomFlip, Resize, Size
from jaxrcnn.types import Batch

BOX_MULTIPLE = 8
"""Boxes are padded to a multiple of this many."""
AUGMENTATION_STREAM = 2
"""Second word of the seeds of the augmentation: numpy takes (seed, a) and (seed, a, 0) for the same
seed, so that it must differ from `planning.ORDER_STREAM`."""

Unread = tuple[str, ...]
"""A line for each image that could not be read and is an empty one of weight 0 instead."""


class Given(NamedTuple):
    """The proposals that a batch brings."""

    stored: StoredProposals
    most: int  # for an image: its best ones, padded to so many

    def of(self, index: int) -> ImageProposals:
        """Those of image `index` of the data set that have an area, unpadded."""
        boxes, scores = self.stored.of(index)
        real = transforms.have_area(boxes)
        return ImageProposals(boxes[real][: self.most], scores[real][: self.most])


class EvalBatch(NamedTuple):
    """A batch, and what leads its boxes back to the original images."""

    batch: Batch
    scales: np.ndarray  # (N, 2) float32 (y, x), resized size over the original one


def make_train_batch(
    dataset: Dataset,
    config: Config,
    bucket: Size,
    indices: Sequence[int],
    step: int,
    proposals: StoredProposals | None = None,
    rows: Sequence[int] | None = None,
) -> tuple[Batch, Unread]:
    """The batch of a training step.

    Args:
        dataset: the training set.
        config: of the experiment.
        bucket: height and width of the padded images.
        indices: places of the images in the data set, a row of `plan_batches`; -1 is a padded
            image of weight 0.
        step: that the batch is for; with the seed it decides the augmentation.
        proposals: of the data set; the best post_nms_train of each image go into the batch.
        rows: the places in the batch of the images that are made, by default all; the others are
            those of other processes.

    Returns:
        The batch, in numpy arrays, and a line for each image that could not be read and stands
        in the batch with weight 0 and no boxes (data.on_error "skip").

    Raises:
        DataError: an image cannot be read (data.on_error "raise").
        ValueError: a transform gives back what cannot become part of the batch.
    """
    rows = range(len(indices)) if rows is None else rows
    images = _black(len(rows), bucket, config.data.resize)
    room = room_for(dataset, parse(config.data.augment))
    frame = _frame(dataset, config, proposals, config.model.proposals.post_nms_train, room)
    made: list[Fields] = []
    unread: list[str] = []
    for place, position in zip(images, rows, strict=True):
        rng = np.random.default_rng((config.seed, AUGMENTATION_STREAM, step, position))
        short_side = int(rng.choice(config.data.train_short_sides or (config.data.short_side,)))
        made.append(_make_row(frame, indices[position], place, short_side, rng, unread))
    return stack(made, images, [_name(dataset, indices[i]) for i in rows]), tuple(unread)


def make_eval_batch(
    dataset: Dataset,
    config: Config,
    bucket: Size,
    indices: Sequence[int],
    proposals: StoredProposals | None = None,
) -> tuple[EvalBatch, Unread]:
    """A batch to evaluate on, without augmentation.

    Arguments, results and errors are those of `make_train_batch`, but that the best post_nms_test
    proposals go into the batch.
    """
    images = _black(len(indices), bucket, config.data.resize)
    most = config.model.proposals.post_nms_test
    frame = _frame(dataset, config, proposals, most, dataset.max_boxes)
    rows: list[Fields] = []
    scales = np.ones((len(indices), 2), np.float32)
    unread: list[str] = []
    for position, index in enumerate(indices):
        row = _make_row(frame, index, images[position], config.data.short_side, None, unread)
        if row["image_weights"]:
            scales[position] = row["image_sizes"] / dataset.sizes[index]
        rows.append(row)
    batch = stack(rows, images, [_name(dataset, index) for index in indices])
    return EvalBatch(batch, scales), tuple(unread)


def _black(number: int, bucket: Size, method: Resize) -> np.ndarray:
    """The images of a batch before they are there: so that each is written once, in its place."""
    return np.zeros((number, *bucket, 3), PIXELS[method])


def _name(dataset: Dataset, index: int) -> str:
    return "padding" if index == PADDING else dataset.records[index].name


class _Frame(NamedTuple):
    """What the images of a batch have in common."""

    dataset: Dataset
    config: DataConfig
    given: Given | None
    room: Room


def _frame(
    dataset: Dataset, config: Config, proposals: StoredProposals | None, most: int, room: int
) -> _Frame:
    boxes = dataset.box_room or room
    boxes = max(1, -(-boxes // BOX_MULTIPLE)) * BOX_MULTIPLE
    given = None if proposals is None else Given(proposals, most)
    return _Frame(dataset, config.data, given, Room(boxes, given and given.most))


def _make_row(
    frame: _Frame,
    index: int,
    place: np.ndarray,
    short_side: int,
    rng: np.random.Generator | None,
    unread: list[str],
) -> Fields:
    """The fields of one image, whose pixels go to `place`; it is augmented with a generator alone.

    One that cannot be read leaves a line in `unread`, and is an empty one as padding is.
    """
    if index != PADDING:
        try:
            sample = _transformed(frame, index, rng, _least(frame, index, short_side, rng))
            if rng is not None and frame.config.augment:
                sample = _augmented(frame, sample, index, place, short_side, rng, unread)
        except DataError as error:
            if frame.config.on_error == "raise":
                raise
            unread.append(str(error))
        else:
            sample, extra = _prepared(frame, sample, place, short_side, rng)
            return pad_sample(sample, extra, index, place, frame.room)
    row = empty_row(index, place, frame.room)
    if frame.dataset.transforms:
        sample = run_transforms(frame.dataset, _no_image(frame), None, rng)
        sample = transforms.keep_boxes(sample, np.zeros(len(sample.boxes), bool))
        _, extra = _prepared(frame, sample, place, short_side, rng)
        row["extra"] = {name: np.zeros_like(array) for name, array in extra.items()}
    return row


def _least(
    frame: _Frame, index: int, short_side: int, rng: np.random.Generator | None
) -> Size | None:
    """How few pixels of an image suffice; None where transforms are to see all of them."""
    config = frame.config
    if frame.dataset.transforms or (rng is not None and config.augment):
        return None
    height, width = frame.dataset.sizes[index].tolist()
    return transforms.resized_size((height, width), short_side, config.long_side, config.resize)


def _transformed(
    frame: _Frame, index: int, rng: np.random.Generator | None, least: Size | None = None
) -> Sample:
    """A sample in original pixels, after the data set's transforms; fewer pixels may suffice."""
    with decoding(frame.config, least):
        sample = frame.dataset.read_sample(index)
    record = frame.dataset.records[index]
    if frame.given is not None:
        sample = dataclasses.replace(sample, proposals=frame.given.of(index))
    sample = run_transforms(frame.dataset, sample, record, rng)
    check_room(sample, frame.room, record.name)
    return sample


def _augmented(
    frame: _Frame,
    sample: Sample,
    index: int,
    place: np.ndarray,
    short_side: int,
    rng: np.random.Generator,
    unread: list[str],
) -> Sample:
    """The sample after the augmentations of the config, which may add other images to it."""
    config, dataset, canvas = frame.config, frame.dataset, (place.shape[0], place.shape[1])

    def read(rng: np.random.Generator) -> tuple[Sample, Record] | None:
        other = int(rng.integers(len(dataset)))
        try:
            return _transformed(frame, other, rng), dataset.records[other]
        except DataError as error:
            if config.on_error == "raise":
                raise
            unread.append(str(error))
            return None

    def final_size(sample: Sample) -> Size:
        return _final_size(config, sample, short_side, canvas)

    scene = Scene(canvas, config.min_visible, frame.room.boxes, final_size, read)
    return augment(sample, dataset.records[index], rng, parse(config.augment), scene)


def _no_image(frame: _Frame) -> Sample:
    """What transforms are given where there is no image, as large as one of the data set."""
    height, width = frame.dataset.sizes[0].tolist()
    sample = empty_sample(height, width)
    if frame.given is None:
        return sample
    nothing = ImageProposals(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    return dataclasses.replace(sample, proposals=nothing)


def _prepared(
    frame: _Frame,
    sample: Sample,
    place: np.ndarray,
    short_side: int,
    rng: np.random.Generator | None,
) -> tuple[Sample, dict[str, np.ndarray]]:
    """A sample after resizing and the config's flips, and its extras, padded."""
    config, canvas = frame.config, (place.shape[0], place.shape[1])
    # Only maps go along: after resizing, others could happen to be as large as the image.
    maps = {name: sample.extra[name] for name in sample.maps}
    others = {name: array for name, array in sample.extra.items() if name not in maps}
    sample = dataclasses.replace(sample, extra=maps)
    size = _final_size(config, sample, short_side, canvas)
    sample = transforms.resize(sample, size, config.resize, config.decoder)
    for flip in _flips(config):
        sample = flip(sample, None, rng)
    return sample, others | pad_extras(sample.extra, sample.box_extra, canvas, frame.room)


def _final_size(config: DataConfig, sample: Sample, short_side: int, canvas: Size) -> Size:
    """The size that a sample is resized to.

    As the config says, unless the sample says it itself; smaller where a transform gave it another
    shape than that which the canvas was planned for.
    """
    size = sample.size
    wanted = sample.final_size or transforms.resized_size(
        size, short_side, config.long_side, config.resize
    )
    fits = wanted[0] <= canvas[0] and wanted[1] <= canvas[1]
    return wanted if fits else transforms.fitted_size(size, canvas)


def _flips(config: DataConfig) -> tuple[Transform, ...]:
    """The transforms of the config, which run after resizing."""
    return (
        RandomFlip(transforms.horizontal_flip, config.horizontal_flip),
        RandomFlip(transforms.vertical_flip, config.vertical_flip),
    )

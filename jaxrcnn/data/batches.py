"""One batch, a pure function of the data set, the config, its images and its step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data import transforms
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.planning import PADDING
from jaxrcnn.data.proposals import ImageProposals, StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.transforms import PIXELS, Resize, Size
from jaxrcnn.types import Batch, Proposals

BOX_MULTIPLE = 8
"""Boxes are padded to a multiple of this many."""
AUGMENTATION_STREAM = 2
"""Second word of the seeds of the augmentation: numpy takes (seed, a) and (seed, a, 0) for the same
seed, so that it must differ from `planning.ORDER_STREAM`."""

Fields = dict[str, Any]
"""The fields of a Batch by name, in numpy arrays."""
Unread = tuple[str, ...]
"""A line for each image that could not be read and is an empty one of weight 0 instead."""


class Sample(NamedTuple):
    """One image with its boxes, ready to be padded."""

    image: np.ndarray  # (h, w, 3) uint8, or float32 where resizing does not round
    boxes: np.ndarray  # (g + r, 4) float32 in pixels of `image`: ground truth, then proposals
    scale: np.ndarray  # (2,) float32, resized height and width over the original ones


class Given(NamedTuple):
    """The proposals that a batch brings."""

    stored: StoredProposals
    most: int  # for an image: its best ones, padded to so many

    def of(self, index: int) -> ImageProposals:
        """Those of image `index` of the data set that have an area, unpadded."""
        boxes, scores = self.stored.of(index)
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
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
) -> tuple[Batch, Unread]:
    """The batch of a training step.

    Args:
        dataset: the training set.
        config: of the experiment.
        bucket: height and width of the padded images.
        indices: places of the images in the data set, a row of `plan_batches`.
        step: that the batch is for; with the seed it decides the augmentation.
        proposals: of the data set; the best post_nms_train of each image go into the batch.

    Returns:
        The batch, in numpy arrays, and a line for each image that could not be read and stands
        in the batch with weight 0 and no boxes (data.on_error "skip").

    Raises:
        DataError: an image cannot be read (data.on_error "raise").
    """
    images = _black(len(indices), bucket, config.data.resize)
    rows: list[Fields] = []
    unread: list[str] = []
    given = proposals and Given(proposals, config.model.proposals.post_nms_train)
    for position, index in enumerate(indices):
        rng = np.random.default_rng((config.seed, AUGMENTATION_STREAM, step, position))
        short_side = int(rng.choice(config.data.train_short_sides or (config.data.short_side,)))
        flips = [
            (transforms.horizontal_flip, rng.random() < config.data.horizontal_flip),
            (transforms.vertical_flip, rng.random() < config.data.vertical_flip),
        ]
        sample = _read_sample(dataset, index, config.data, short_side, unread, given)
        for flip, drawn in flips:
            if drawn and sample is not None:
                image, boxes = flip(sample.image, sample.boxes)
                sample = sample._replace(image=image, boxes=boxes)
        rows.append(_padded(dataset, index, sample, images[position], given))
    return _stack(rows, images), tuple(unread)


def make_eval_batch(
    dataset: Dataset,
    config: Config,
    bucket: Size,
    indices: Sequence[int],
    proposals: StoredProposals | None = None,
) -> tuple[EvalBatch, Unread]:
    """A batch to evaluate on, without augmentation; place -1 is a padded image of weight 0.

    Arguments, results and errors are those of `make_train_batch`, but that the best post_nms_test
    proposals go into the batch.
    """
    images = _black(len(indices), bucket, config.data.resize)
    rows: list[Fields] = []
    scales = np.ones((len(indices), 2), np.float32)
    unread: list[str] = []
    given = proposals and Given(proposals, config.model.proposals.post_nms_test)
    for position, index in enumerate(indices):
        sample = None
        if index != PADDING:
            sample = _read_sample(
                dataset, index, config.data, config.data.short_side, unread, given
            )
        if sample is not None:
            scales[position] = sample.scale
        rows.append(_padded(dataset, index, sample, images[position], given))
    return EvalBatch(_stack(rows, images), scales), tuple(unread)


def _read_sample(
    dataset: Dataset,
    index: int,
    config: DataConfig,
    short_side: int,
    unread: list[str],
    given: Given | None,
) -> Sample | None:
    """A resized image with its boxes, or None and a line in `unread`."""
    record = dataset.records[index]
    try:
        image = dataset.read_image(index)
    except DataError as error:
        if config.on_error == "raise":
            raise
        unread.append(str(error))
        return None
    size = transforms.resized_size(
        (record.height, record.width), short_side, config.long_side, config.resize
    )
    boxes = record.boxes
    if given is not None:
        boxes = np.concatenate([boxes, given.of(index).boxes])
    image, boxes = transforms.resize(image, boxes, size, config.resize)
    scale = np.array([size[0] / record.height, size[1] / record.width], np.float32)
    return Sample(image, boxes, scale)


def _black(number: int, bucket: Size, method: Resize) -> np.ndarray:
    """The images of a batch before they are there: so that each is written once, in its place."""
    return np.zeros((number, *bucket, 3), PIXELS[method])


def _padded(
    dataset: Dataset, index: int, sample: Sample | None, place: np.ndarray, given: Given | None
) -> Fields:
    """The fields of a batch for one image, but its pixels, which go to the upper left of `place`.

    No sample gives an empty one of weight 0.
    """
    room = max(1, -(-dataset.max_boxes // BOX_MULTIPLE)) * BOX_MULTIPLE
    row: Fields = {
        "image_sizes": np.array(place.shape[:2], np.int32),
        "image_index": np.array(index, np.int32),
        "image_weights": np.array(0.0, np.float32),
        "boxes": np.zeros((room, 4), np.float32),
        "labels": np.zeros(room, np.int32),
        "box_valid": np.zeros(room, bool),
        "box_ignore": np.zeros(room, bool),
        "box_weights": np.zeros(room, np.float32),
    }
    if given is not None:
        row["proposals"] = _no_proposals(given.most)
    if sample is None:
        return row
    record = dataset.records[index]
    number = len(record.boxes)
    height, width = sample.image.shape[:2]
    place[:height, :width] = sample.image
    row["image_sizes"] = np.array((height, width), np.int32)
    row["image_weights"] = np.array(1.0, np.float32)
    row["boxes"][:number] = sample.boxes[:number]
    row["labels"][:number] = record.labels
    row["box_valid"][:number] = ~record.ignore
    row["box_ignore"][:number] = record.ignore
    row["box_weights"][:number] = ~record.ignore
    if given is not None:
        scores = given.of(index).scores
        row["proposals"]["boxes"][: len(scores)] = sample.boxes[number:]
        row["proposals"]["scores"][: len(scores)] = scores
        row["proposals"]["valid"][: len(scores)] = True
    return row


def _no_proposals(most: int) -> Fields:
    """The fields of Proposals for one image, all padding."""
    return {
        "boxes": np.zeros((most, 4), np.float32),
        "scores": np.full(most, -np.inf, np.float32),
        "valid": np.zeros(most, bool),
    }


def _stack(rows: Sequence[Fields], images: np.ndarray) -> Batch:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    proposals = columns.pop("proposals", None)
    fields: Fields = {name: np.stack(column) for name, column in columns.items()}
    fields["images"] = images
    if proposals is not None:
        given: Fields = {name: np.stack([row[name] for row in proposals]) for name in proposals[0]}
        fields["proposals"] = Proposals(**given)
    return Batch(**fields)

"""Batches, each a pure function of (data set, config, step), whoever makes it and when.

Which records a step gets is planned beforehand for the whole run; a step's augmentation is drawn
from (seed, step, position). So neither the number of workers nor a restart changes a batch.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data import transforms
from jaxrcnn.data.buckets import Buckets, choose_buckets
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.proposals import ImageProposals, StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.transforms import PIXELS, Resize, Size
from jaxrcnn.types import Batch, Proposals

BOX_MULTIPLE = 8
"""Boxes are padded to a multiple of this many."""
THREADS = 4
"""Threads that make batches where there are no worker processes."""
AHEAD = 2
"""Batches that a worker process makes ahead."""
PADDING = -1
"""Place in the data set of an image that only fills a batch."""
ORDER_STREAM, AUGMENTATION_STREAM = 1, 2
"""Second words of the seeds: numpy takes (seed, a) and (seed, a, 0) for the same seed."""

T = TypeVar("T")
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
        """Those of image `index` of the data set, unpadded."""
        boxes, scores = self.stored.of(index)
        return ImageProposals(boxes[: self.most], scores[: self.most])


class EvalBatch(NamedTuple):
    """A batch, and what leads its boxes back to the original images."""

    batch: Batch
    scales: np.ndarray  # (N, 2) float32 (y, x), resized size over the original one


def plan_batches(
    seed: int, num_steps: int, batch_size: int, bucket_of_record: np.ndarray
) -> np.ndarray:
    """Which records each step gets.

    Records come epoch after epoch, each epoch a permutation. Those of one bucket fill that
    bucket's batch, and batches stand in the order in which they fill. Nothing is dropped at the
    end of an epoch, and more steps leave the earlier ones as they are.

    Args:
        seed: of the permutations, with the number of the epoch.
        num_steps: rows of the plan.
        batch_size: images of a step.
        bucket_of_record: (n,) int, bucket of every record.

    Returns:
        (num_steps, batch_size) int32, places in the data set.

    Raises:
        DataError: there are no records.
    """
    if len(bucket_of_record) == 0:
        raise DataError("the training set holds no images; check data.root and the splits")
    counts = np.bincount(bucket_of_record)
    epochs = num_steps * batch_size // len(bucket_of_record)
    while (epochs * counts // batch_size).sum() < num_steps:
        epochs += 1
    stream = np.concatenate(
        [_permutation(seed, epoch, len(bucket_of_record)) for epoch in range(epochs)]
        or [np.zeros(0, np.int64)]
    )
    rows, filled_at = [], []
    for bucket in range(len(counts)):
        places = np.flatnonzero(bucket_of_record[stream] == bucket)
        full = len(places) // batch_size * batch_size
        places = places[:full].reshape(-1, batch_size)  # (m * batch_size,) -> (m, batch_size)
        rows.append(stream[places])
        filled_at.append(places[:, -1])
    order = np.argsort(np.concatenate(filled_at))[:num_steps]
    return np.concatenate(rows)[order].astype(np.int32)


def _permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng((seed, ORDER_STREAM, epoch)).permutation(size)


def training_buckets(dataset: Dataset, config: DataConfig) -> Buckets:
    """The shapes of a data set's training batches: for the largest short side that is drawn."""
    short_side = max(config.train_short_sides or (config.short_side,))
    return choose_buckets(dataset.sizes, short_side, config.long_side, config.resize)


def eval_buckets(dataset: Dataset, config: DataConfig) -> Buckets:
    """The shapes of a data set's evaluation batches."""
    return choose_buckets(dataset.sizes, config.short_side, config.long_side, config.resize)


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
        sample = _read_sample(dataset, index, config.data, short_side, bucket, unread, given)
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
                dataset, index, config.data, config.data.short_side, bucket, unread, given
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
    bucket: Size,
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
        (record.height, record.width), short_side, config.long_side, bucket, config.resize
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


class BatchStream(Iterator[T]):
    """Batches made ahead of their use; `close` it where it is not read to its end."""

    def __init__(self, make: Callable[[int], tuple[T, Unread]], steps: range, workers: int) -> None:
        import grain

        made = grain.MapDataset.range(steps.start, steps.stop).map(make)
        if workers == 0:
            ahead = made.to_iter_dataset(grain.ReadOptions(THREADS, THREADS))
        else:
            _mark_flags_as_parsed()
            # Through pipes: shared memory is scarce in containers, and is left behind at exit.
            by_value = grain.experimental.DatasetOptions(min_shm_size=sys.maxsize)
            ahead = grain.experimental.WithOptionsIterDataset(
                made.to_iter_dataset(grain.ReadOptions(0, 0)), by_value
            ).mp_prefetch(grain.MultiprocessingOptions(workers, AHEAD))
        self._batches = iter(ahead)
        self.unread: dict[str, None] = {}
        """A line for each image so far that could not be read, in order (an ordered set)."""

    def __next__(self) -> T:
        batch, unread = next(self._batches)
        self.unread.update(dict.fromkeys(unread))
        return batch

    def close(self) -> None:
        """End the threads or processes that make batches."""
        self._batches.close()


def _mark_flags_as_parsed() -> None:
    """Grain's worker processes ask absl for flags, which it refuses outside of absl's own main."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def train_batches(
    dataset: Dataset,
    config: Config,
    first_step: int = 0,
    proposals: StoredProposals | None = None,
) -> BatchStream[Batch]:
    """The batches of the steps from `first_step` to the end of training, in numpy arrays.

    With given proposals of the data set, the batches hold the best of them.

    Raises:
        DataError: there are no images, or (from next, data.on_error "raise") one is unreadable.
    """
    buckets = training_buckets(dataset, config.data)
    plan = plan_batches(config.seed, config.train.steps, config.train.batch_size, buckets.of_record)
    make = functools.partial(_planned_train_batch, dataset, config, buckets, plan, proposals)
    return BatchStream(make, range(first_step, config.train.steps), config.data.workers)


def _planned_train_batch(
    dataset: Dataset,
    config: Config,
    buckets: Buckets,
    plan: np.ndarray,
    proposals: StoredProposals | None,
    step: int,
) -> tuple[Batch, Unread]:
    bucket = buckets.shapes[buckets.of_record[plan[step, 0]]]
    return make_train_batch(dataset, config, bucket, plan[step].tolist(), step, proposals)


def eval_batches(
    dataset: Dataset, config: Config, proposals: StoredProposals | None = None
) -> BatchStream[EvalBatch]:
    """Every image once, bucket by bucket; the last batch of a bucket is filled with padding.

    With given proposals of the data set, the batches hold the best of them.

    Raises:
        DataError: (from next, data.on_error "raise") an image is unreadable.
    """
    buckets = eval_buckets(dataset, config.data)
    size = config.eval.batch_size
    rows = [np.zeros((0, size), np.int64)]
    for bucket in range(len(buckets.shapes)):
        places = np.flatnonzero(buckets.of_record == bucket)
        places = np.pad(places, (0, -len(places) % size), constant_values=PADDING)
        rows.append(places.reshape(-1, size))  # (m * size,) -> (m, size)
    plan = np.concatenate(rows)
    make = functools.partial(_planned_eval_batch, dataset, config, buckets, plan, proposals)
    return BatchStream(make, range(len(plan)), config.data.workers)


def empty_eval_batches(dataset: Dataset, config: Config) -> list[Batch]:
    """A batch of every shape that `eval_batches` has, without an image in it."""
    nothing = [PADDING] * config.eval.batch_size
    return [
        make_eval_batch(dataset, config, x, nothing)[0].batch
        for x in eval_buckets(dataset, config.data).shapes
    ]


def _planned_eval_batch(
    dataset: Dataset,
    config: Config,
    buckets: Buckets,
    plan: np.ndarray,
    proposals: StoredProposals | None,
    step: int,
) -> tuple[EvalBatch, Unread]:
    bucket = buckets.shapes[buckets.of_record[plan[step, 0]]]
    return make_eval_batch(dataset, config, bucket, plan[step].tolist(), proposals)

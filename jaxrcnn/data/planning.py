"""Which images every batch holds, decided for a whole run before its first batch is made."""

from typing import NamedTuple

import numpy as np

from jaxrcnn.config import Config, ModelConfig
from jaxrcnn.data.buckets import (
    MULTIPLE,
    Buckets,
    choose_buckets,
    exact_buckets,
    ladder_buckets,
)
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.repeats import repeat_factors
from jaxrcnn.data.transforms import Size

PADDING = -1
"""Place in the data set of an image that only fills a batch."""
ORDER_STREAM = 1
"""Second word of the seeds of the orders; other draws from a seed have another."""
REPEAT_STREAM = 4
"""The same for the draws of how often an epoch has an image."""


class Plan(NamedTuple):
    """The images of every batch."""

    rows: np.ndarray  # (batches, N) int, places in the data set, or PADDING
    buckets: Buckets  # a row's images have the same one

    def of(self, batch: int) -> tuple[Size, list[int]]:
        """Height and width that a batch is padded to, and the places of its images."""
        row = self.rows[batch]
        return self.buckets.shapes[self.buckets.of_record[row[0]]], row.tolist()


def training_buckets(dataset: Dataset, config: Config) -> Buckets:
    """The shapes of a data set's training batches: for the largest short side that is drawn."""
    data, size = config.data, config.train.batch_size
    short_side = max(data.train_short_sides or (data.short_side,))
    wanted = dataset.sizes, short_side, data.long_side, data.resize
    return choose_buckets(*wanted, most=data.max_buckets, batch_size=size)


def eval_buckets(dataset: Dataset, config: Config) -> Buckets:
    """The shapes that inference pads a data set's images to, as data.canvas says."""
    data = config.data
    wanted = dataset.sizes, data.short_side, data.long_side, data.resize
    if data.canvas == "exact":
        return exact_buckets(*wanted, padded_multiple(config.model))
    return ladder_buckets(*wanted)


def note_on_canvases(dataset: Dataset, config: Config) -> str:
    """A line where a data set's exact shapes are more than a ladder would need, else ""."""
    if config.data.canvas == "ladder":
        return ""
    data, shapes = config.data, eval_buckets(dataset, config).shapes
    few = ladder_buckets(dataset.sizes, data.short_side, data.long_side, data.resize).shapes
    if len(shapes) <= len(few):
        return ""
    return (
        f"data.canvas=exact: {len(shapes)} image shapes, each compiled once; with "
        f"--config.data.canvas ladder there are {len(few)}, but scores near the padding may differ"
    )


def padded_multiple(config: ModelConfig) -> int:
    """What the sides of an exact canvas are multiples of: as the peers pad a single image.

    Both pad to 32 for a pyramid; Detectron2 does not pad for a single map.
    """
    return MULTIPLE if config.neck.name == "fpn" else 1


def plan_training(dataset: Dataset, config: Config) -> Plan:
    """The batches of a training run, one for each step; see `plan_batches`.

    Raises:
        DataError: there are no images.
    """
    buckets, train = training_buckets(dataset, config), config.train
    factors = training_factors(dataset, config)
    rows = plan_batches(config.seed, train.steps, train.batch_size, buckets.of_record, factors)
    return Plan(rows, buckets)


def images_per_epoch(dataset: Dataset, config: Config) -> float:
    """How many images an epoch has on average; with data.repeat_threshold some more than once."""
    factors = training_factors(dataset, config)
    return float(len(dataset)) if factors is None else float(factors.sum())


def training_factors(dataset: Dataset, config: Config) -> np.ndarray | None:
    """How often an epoch has each image, see `repeat_factors`; None where each comes once."""
    threshold = config.data.repeat_threshold
    return repeat_factors(dataset, threshold) if threshold else None


def plan_batches(
    seed: int,
    num_steps: int,
    batch_size: int,
    bucket_of_record: np.ndarray,
    factors: np.ndarray | None = None,
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
        factors: (n,) at least 1, how often an epoch has each record on average; by default once.

    Returns:
        (num_steps, batch_size) int32, places in the data set.

    Raises:
        DataError: there are no records.
    """
    size = len(bucket_of_record)
    if size == 0:
        raise DataError("the training set contains no images; check data.root and the splits")
    epochs: list[np.ndarray] = [np.zeros(0, np.int64)]
    counts = np.zeros(bucket_of_record.max() + 1, np.int64)
    while (counts // batch_size).sum() < num_steps:
        repeated = _repeated(factors, size, seed, len(epochs) - 1)
        epochs.append(repeated[_permutation(seed, len(epochs) - 1, len(repeated))])
        counts += np.bincount(bucket_of_record[repeated], minlength=len(counts))
    stream = np.concatenate(epochs)
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


def _repeated(factors: np.ndarray | None, size: int, seed: int, epoch: int) -> np.ndarray:
    """The records of an epoch in their order, each as often as the epoch has it."""
    places = np.arange(size)
    if factors is None:
        return places
    whole = np.floor(factors)
    drawn = np.random.default_rng((seed, REPEAT_STREAM, epoch)).random(size)
    return np.repeat(places, (whole + (drawn < factors - whole)).astype(np.int64))


def plan_evaluation(dataset: Dataset, config: Config) -> Plan:
    """Every image once, bucket by bucket; the last batch of a bucket is filled with padding."""
    buckets, size = eval_buckets(dataset, config), config.eval.batch_size
    rows = [np.zeros((0, size), np.int64)]
    for bucket in range(len(buckets.shapes)):
        places = np.flatnonzero(buckets.of_record == bucket)
        places = np.pad(places, (0, -len(places) % size), constant_values=PADDING)
        rows.append(places.reshape(-1, size))  # (m * size,) -> (m, size)
    return Plan(np.concatenate(rows), buckets)

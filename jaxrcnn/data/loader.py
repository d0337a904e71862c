"""Streams of batches, made ahead of their use in threads or processes.

Which images a step gets is planned beforehand for the whole run; a step's augmentation is drawn
from (seed, step, position). So neither the number of workers nor a restart changes a batch.
"""

import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from jaxrcnn.config import Config
from jaxrcnn.data.batches import EvalBatch, Unread, make_eval_batch, make_train_batch
from jaxrcnn.data.planning import (
    PADDING,
    eval_buckets,
    plan_evaluation,
    plan_training,
    training_buckets,
)
from jaxrcnn.data.proposals import StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sharing import shared
from jaxrcnn.types import Batch

THREADS = 4
"""Threads that make batches where there are no worker processes."""
AHEAD = 2
"""Batches that a worker process makes ahead."""

T = TypeVar("T")


class BatchStream(Iterator[T]):
    """Batches made ahead of their use; `close` it where it is not read to its end."""

    def __init__(self, make: Callable[[int], tuple[T, Unread]], steps: range, workers: int) -> None:
        import grain

        self._make = make  # holds the file that worker processes map
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
    plan = plan_training(dataset, config)
    if config.data.workers:
        dataset = shared(dataset)

    def make(step: int) -> tuple[Batch, Unread]:
        return make_train_batch(dataset, config, *plan.of(step), step, proposals)

    return BatchStream(make, range(first_step, config.train.steps), config.data.workers)


def eval_batches(
    dataset: Dataset, config: Config, proposals: StoredProposals | None = None
) -> BatchStream[EvalBatch]:
    """Every image once, bucket by bucket; the last batch of a bucket is filled with padding.

    With given proposals of the data set, the batches hold the best of them.

    Raises:
        DataError: (from next, data.on_error "raise") an image is unreadable.
    """
    plan = plan_evaluation(dataset, config)
    if config.data.workers:
        dataset = shared(dataset)

    def make(number: int) -> tuple[EvalBatch, Unread]:
        return make_eval_batch(dataset, config, *plan.of(number), proposals)

    return BatchStream(make, range(len(plan.rows)), config.data.workers)


def empty_train_batches(dataset: Dataset, config: Config) -> list[Batch]:
    """One padded image, without given proposals, of every shape that `train_batches` has."""
    return [
        make_train_batch(dataset, config, bucket, [PADDING], 0)[0]
        for bucket in training_buckets(dataset, config.data).shapes
    ]


def empty_eval_batches(
    dataset: Dataset, config: Config, proposals: StoredProposals | None = None
) -> list[Batch]:
    """A batch of every shape that `eval_batches` has, without an image in it."""
    nothing = [PADDING] * config.eval.batch_size
    return [
        make_eval_batch(dataset, config, x, nothing, proposals)[0].batch
        for x in eval_buckets(dataset, config).shapes
    ]

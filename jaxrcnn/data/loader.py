"""Streams of batches, made ahead of their use in threads or processes.

Which images a step gets is planned beforehand for the whole run; a step's augmentation is drawn
from (seed, step, position). So neither the number of workers nor a restart changes a batch.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from jaxrcnn.config import Config
from jaxrcnn.data.batches import EvalBatch, Unread, make_eval_batch, make_train_batch
from jaxrcnn.data.left_out import check_left_out
from jaxrcnn.data.planning import (
    PADDING,
    eval_buckets,
    plan_evaluation,
    plan_training,
    training_buckets,
)
from jaxrcnn.data.proposals import StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.share import ALONE, Share
from jaxrcnn.data.sharing import shared
from jaxrcnn.data.workers import Workers
from jaxrcnn.types import Batch

THREADS = 4
"""Threads that make batches where there are no worker processes."""
AHEAD = 2
"""Batches that a worker process makes ahead."""

T = TypeVar("T")


Say = Callable[[str], None]
"""Prints a line."""


class BatchStream(Iterator[T]):
    """Batches made ahead of their use; `close` it where it is not read to its end.

    Args:
        make: makes the batch of a step.
        steps: in this order.
        workers: processes; 0 takes threads of this one.
        say: prints a line where a process is lost, which loses no batch.
        check: takes the lines of `unread` when there are new ones, and raises DataError if they
            are too many.
    """

    def __init__(
        self,
        make: Callable[[int], tuple[T, Unread]],
        steps: range,
        workers: int,
        say: Say | None = None,
        check: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        self._make = make  # holds the file that worker processes map
        self._check = check
        self._batches: Any
        if workers:
            self._batches = Workers(make, steps, workers, AHEAD, say)
        else:
            import grain

            made = grain.MapDataset.range(steps.start, steps.stop).map(make)
            self._batches = iter(made.to_iter_dataset(grain.ReadOptions(THREADS, THREADS)))
        self.unread: dict[str, None] = {}
        """A line for each image so far that could not be read, in order (an ordered set)."""

    def __next__(self) -> T:
        batch, unread = next(self._batches)
        self.unread.update(dict.fromkeys(unread))
        if unread and self._check is not None:
            self._check(self.unread)
        return batch

    def close(self) -> None:
        """End the threads or processes that make batches."""
        self._batches.close()


def train_batches(
    dataset: Dataset,
    config: Config,
    first_step: int = 0,
    proposals: StoredProposals | None = None,
    say: Say | None = None,
    share: Share = ALONE,
) -> BatchStream[Batch]:
    """The batches of the steps from `first_step` to the end of training, in numpy arrays.

    With given proposals of the data set, the batches hold the best of them. `say` prints a line
    where a process that makes batches is lost, by default to stderr. Of several processes that
    train together each has its share of every batch.

    Raises:
        DataError: there are no images, or (from next) one is unreadable (data.on_error "raise"),
            or more than data.max_skipped_share are.
    """
    plan = plan_training(dataset, config)
    rows = list(share.rows(config.train.batch_size))
    if config.data.workers:
        dataset = shared(dataset)

    def make(step: int) -> tuple[Batch, Unread]:
        return make_train_batch(dataset, config, *plan.of(step), step, proposals, rows)

    pool = share.pool()  # else each process would count its own images alone

    def check(unread: Collection[str]) -> None:
        check_left_out(dataset, config, pool(unread))

    return BatchStream(make, range(first_step, config.train.steps), config.data.workers, say, check)


def eval_batches(
    dataset: Dataset,
    config: Config,
    proposals: StoredProposals | None = None,
    share: Share = ALONE,
) -> BatchStream[EvalBatch]:
    """Every image once, bucket by bucket; the last batch of a bucket is filled with padding.

    With given proposals of the data set, the batches hold the best of them. Of several processes
    each has its share of every batch.

    Raises:
        DataError: (from next, data.on_error "raise") an image is unreadable.
    """
    plan = plan_evaluation(dataset, config)
    rows = list(share.rows(config.eval.batch_size))
    if config.data.workers:
        dataset = shared(dataset)

    def make(number: int) -> tuple[EvalBatch, Unread]:
        bucket, indices = plan.of(number)
        own = [indices[row] for row in rows]
        return make_eval_batch(dataset, config, bucket, own, proposals)

    return BatchStream(make, range(len(plan.rows)), config.data.workers)


def empty_train_batches(dataset: Dataset, config: Config) -> list[Batch]:
    """One padded image, without given proposals, of every shape that `train_batches` has."""
    return [
        make_train_batch(dataset, config, bucket, [PADDING], 0)[0]
        for bucket in training_buckets(dataset, config).shapes
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

"""What a run is fed with: the batches of its phases, and programs compiled for those to come."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from jaxrcnn.config import Config
from jaxrcnn.data.loader import (
    BatchStream,
    empty_eval_batches,
    empty_train_batches,
    train_batches,
)
from jaxrcnn.data.proposals import StoredProposals, join_proposals, read_proposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.proposals import find_proposals
from jaxrcnn.scoring import predictor, share_of
from jaxrcnn.training.alternating import Stage, finished, stage_of, takes_given
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState, eval_variables
from jaxrcnn.types import Batch


class Given(NamedTuple):
    """Proposals of another run; None where the run has its own."""

    train: StoredProposals | None
    eval: StoredProposals | None


def read_given(config: Config, train_set: Dataset, eval_set: Dataset) -> Given:
    """Read and check data.train_proposals and data.eval_proposals, if there are any.

    Raises:
        DataError: a file cannot be read, or is for other images.
    """
    files = (config.data.train_proposals, train_set), (config.data.eval_proposals, eval_set)
    return Given(*(read_proposals(path, dataset) if path else None for path, dataset in files))


class Feed:
    """The training batches of a run, phase after phase, with the proposals that a phase is given.

    Args:
        config: of the run.
        programs: compiled for it.
        dataset: the training set.
        progress: shows how far its proposals are.
        given: proposals for it from a file, if any.
    """

    def __init__(
        self,
        config: Config,
        programs: Programs,
        dataset: Dataset,
        progress: Progress,
        given: StoredProposals | None = None,
    ) -> None:
        self._config, self._programs = config, programs
        self._dataset, self._progress, self._given = dataset, progress, given
        self._stream: BatchStream[Batch] | None = None
        self.unread: dict[str, None] = {}
        """A line for each image so far that could not be read, in order (an ordered set)."""

    def start(self, state: TrainState) -> Iterator[Batch]:
        """The batches of the steps after a state, in place of those before.

        Raises:
            DataError: an image is unreadable and data.on_error is "raise".
        """
        self.close()
        proposals = self._proposals(state)
        self._stream = train_batches(
            *(self._dataset, self._config, int(state.step), proposals),
            *(self._progress.message, share_of(self._programs)),
        )
        return self._stream

    def _proposals(self, state: TrainState) -> StoredProposals | None:
        """For the phase of the step after a state; None where it makes them itself, or needs none.

        A phase does not change the network that proposes to it, so that a run which goes on in its
        middle makes the same ones again.
        """
        config, step = self._config, int(state.step)
        if takes_given(config, step):
            return self._given
        if stage_of(config, step) != "fast_rcnn" or not config.train.alternating.keep_proposals:
            return None
        with self._progress.activity(
            "computing proposals", "computed the proposals", len(self._dataset)
        ) as activity:
            predict = predictor(
                *(self._programs, self._programs.propose, "the RPN"),
                *(state.variables, self._progress, activity),
                train=True,
            )
            found = find_proposals(predict, self._dataset, config, share_of(self._programs))
        self.unread.update(dict.fromkeys(found.unread))
        return join_proposals(self._dataset, found.proposals)

    def close(self) -> None:
        """End the threads or processes that make batches."""
        if self._stream is not None:
            self._stream.close()
            self.unread.update(self._stream.unread)
            self._stream = None


class LookAhead:
    """Compiles in the background for the shapes of batches that are still to come.

    Args:
        config: of the run.
        programs: compiled for it.
        train_set, eval_set: open.
        given: proposals for the evaluation set from a file, if any.
    """

    def __init__(
        self,
        config: Config,
        programs: Programs,
        train_set: Dataset,
        eval_set: Dataset,
        given: StoredProposals | None = None,
    ) -> None:
        self._config, self._programs = config, programs
        self._train_set, self._eval_set, self._given = train_set, eval_set, given

    def __call__(self, state: TrainState, batch: Batch, stage: Stage) -> None:
        """Begin with what the other steps of a phase need, and go on with its evaluations.

        Args:
            state: after the phase's first step.
            batch: of that step, on the devices.
            stage: what is trained.
        """
        if int(state.step) < self._config.train.steps:
            self._compile_steps(state, batch, stage)
        if stage != "rpn":  # which is not evaluated
            self._compile_evaluations(state)

    def _compile_steps(self, state: TrainState, batch: Batch, stage: Stage) -> None:
        shape, dataset = batch.images.shape[1:], self._train_set
        if batch.extra is None:  # so that transforms need not run
            dataset = dataclasses.replace(dataset, transforms=())
        for empty in empty_train_batches(dataset, self._config):
            if empty.images.shape[1:] != shape:
                images, extra = jax.tree.map(
                    _of_one_image, (empty.images, empty.extra), (batch.images, batch.extra)
                )
                others = batch._replace(images=images, extra=extra)
                self._programs.train_step.compile_ahead(state, others, stage)

    def _compile_evaluations(self, state: TrainState) -> None:
        config, programs, step = self._config, self._programs, int(state.step)
        variables = finished(config, eval_variables(state), step)
        given = self._given if takes_given(config, step - 1) else None
        for empty in empty_eval_batches(self._eval_set, config, given):
            programs.eval_step.compile_ahead(variables, programs.put_batch(empty))

    def close(self) -> None:
        """Leave out what has not begun."""
        for program in (self._programs.train_step, self._programs.eval_step):
            program.forget()


def _of_one_image(one: Any, like: jax.Array) -> jax.ShapeDtypeStruct:
    """The shape of a batch's array by that of one image, (1, ...), on the devices as another."""
    shape = (len(like), *one.shape[1:])
    return jax.ShapeDtypeStruct(shape, like.dtype, sharding=like.sharding)

"""Checkpoints of a run: the whole training state, written by orbax beside the training."""

import contextlib
import functools
import pathlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, Self

import jax
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.training.arrays import (
    Saved,
    host_copy,
    open_arrays,
    read_all,
    read_arrays,
    write_arrays,
)
from jaxrcnn.training.background import Background
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.hosts import barrier, from_first, is_first
from jaxrcnn.training.reminders import reminding
from jaxrcnn.training.retries import write_patiently
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step_folders import (
    appears,
    checkpoint_steps,
    folder_of,
    open_folder,
    remove,
    remove_partial,
)
from jaxrcnn.training.weights import check_shapes, merged, placed
from jaxrcnn.writing import flush_to_disk

WRITING = "writing a checkpoint"
"""What a person is told that others, or this process, are waiting for."""

Checkpoint = Literal["best", "last"] | int
"""Which checkpoint of a run: the best evaluated one, the last one, or that of a step."""


class Checkpoints:
    """The checkpoints of a run, in WORKDIR/checkpoints/STEP.

    A checkpoint is written under another name and renamed when it is whole, with its checksums, so
    that a run that dies leaves the one before. One is written at a time, in a thread; an error
    there is raised by the next call of `check`, `save`, `wait` or `close`. Several processes all
    do the same; the first of them writes and says what is there, and its errors are raised in all.

    Args:
        workdir: the run's folder.
        keep: how many are kept, the last ones, besides that of `keep_best`; None is for reading
            only, beside a run that may be writing: nothing is made or cleaned up.
        origin: where the states come from, as JSON has it; kept with each.
        metrics: files with the metrics of the steps, by default WORKDIR/metrics.jsonl. What they
            say is on the disk before a checkpoint of these steps is, and before one is deleted
            that is the best no more.
        say: takes a line when a checkpoint cannot be written yet.
        clock: seconds since some moment.

    Raises:
        CheckpointError: the folder cannot be read or made.
        ConfigError: there is nothing to read.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        keep: int | None = None,
        origin: Mapping[str, Any] | None = None,
        *,
        metrics: Collection[pathlib.Path] = (),
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder_of(workdir)
        if keep is not None:
            from_first(lambda: open_folder(self.folder))
        elif not self.folder.is_dir():
            raise ConfigError(f"{workdir} has no checkpoints, nor the weights/ of a model")
        self._keep, self._best, self._writes = keep or 1, None, keep is not None
        self._origin, self._say, self._clock = origin, say, clock
        self._metrics = metrics or [workdir / "metrics.jsonl"]
        self._background, self._began = Background(), clock()

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, ascending; not of one that is being written."""
        # A network file system may show others a new folder late.
        return from_first(self._listed) if self._writes else self._listed()

    def _listed(self) -> list[int]:
        return checkpoint_steps(self.folder)

    def save(self, state: TrainState) -> None:
        """Begin to write the state, unless its step is written already.

        Returns once the numbers are copied, so that the state may be given away. The save before is
        waited for.

        Raises:
            CheckpointError: the one before could not be written.
        """
        self.wait()
        step = int(state.step)
        if step in self.steps:
            return
        copied = host_copy(state)
        self._began = self._clock()
        if is_first():
            self._background.begin(functools.partial(self._write, step, copied))

    def is_due(self, minutes: float) -> bool:
        """Whether so many minutes have passed since the last save began."""
        return from_first(lambda: self._clock() - self._began >= 60 * minutes)

    def keep_best(self, step: int) -> None:
        """Keep the checkpoint of a step, whatever comes later, in place of the best one before."""
        self.wait()
        self._best = step
        if is_first():
            self._flush_metrics()
            self._delete_others()

    def check(self) -> None:
        """See that the last save, if it is over, went well; several processes all ask the first.

        Raises:
            CheckpointError: it could not be written.
        """
        from_first(self._background.check, WRITING)

    def wait(self) -> None:
        """Wait until all that was begun is on the disk.

        Raises:
            CheckpointError: it could not be written.
        """
        if self._writes:
            from_first(self._wait, WRITING)
            barrier(WRITING)

    def _wait(self) -> None:
        with self._reminding():
            self._background.wait()

    def _reminding(self) -> contextlib.AbstractContextManager[None]:
        """Say now and then that this process waits, such as for a network drive."""
        return reminding(lambda: f"note: still {WRITING} in {self.folder}", self._say)

    def restore(self, like: TrainState) -> TrainState:
        """The state of the last step.

        Args:
            like: a state; gives structure, shapes and placing.

        Raises:
            CheckpointError: it is damaged; names the last one that is not.
            ConfigError: there is no checkpoint, or it does not fit.
        """
        step = self.find(None)
        try:
            saved = self._open(step)
            check_shapes(self.folder, saved.tree, like)
            return read_arrays(saved, like)
        except CheckpointError as error:
            good = self.last_good(step)
            advice = ": train.on_bad_checkpoint=last_good resumes from it" if good else ""
            raise CheckpointError(f"{error}. {_describe_good(good)}{advice}") from error

    def restore_variables(
        self, like: Variables, step: int | None = None, restart: Collection[str] = ()
    ) -> Variables:
        """What to evaluate of a step: the averaged parameters where there are such.

        Args:
            like: variables; give structure, shapes and placing. Collections that they lack are not
                read.
            step: of the checkpoint, by default the last.
            restart: parts that are not read, and are those of `like`.

        Raises:
            CheckpointError: it is damaged; names the last one that is not.
            ConfigError: there is no such checkpoint, or it does not fit.
        """
        step = self.find(step)
        try:
            return self._read_variables(self._open(step), like, restart)
        except CheckpointError as error:
            good = _describe_good(self.last_good(step))
            raise CheckpointError(f"{error}. {good}") from error

    def _read_variables(
        self, saved: Saved, like: Variables, restart: Collection[str]
    ) -> dict[str, Any]:
        averaged = saved.tree["average"] is not None
        there = {name: saved.tree["variables"].get(name) for name in like}
        check_shapes(self.folder, there, like, restart)
        skipped = jax.tree.map(lambda _: ocp.PLACEHOLDER, saved.tree)
        wanted = {**skipped, "variables": {**skipped["variables"], **placed(there, like, restart)}}
        if averaged:
            wanted["average"] = placed({"params": saved.tree["average"]}, like, restart)["params"]
        state = read_arrays(saved, wanted)
        variables = {name: state["variables"][name] for name in like}
        if averaged:
            variables["params"] = state["average"]
        return merged(variables, like, restart)

    def fault(self, step: int) -> str:
        """What is wrong with a checkpoint, all of which is read; empty if nothing is."""
        try:
            read_all(self.folder / str(step))
        except CheckpointError as error:
            return str(error)
        return ""

    def last_good(self, but: int) -> int | None:
        """The last step with a checkpoint that is whole, other than one; None if there is none."""
        others = (step for step in reversed(self._listed()) if step != but)
        return next((step for step in others if not self.fault(step)), None)

    def origin(self, step: int) -> dict[str, Any] | None:
        """Where the state of a step comes from; None where that was not kept.

        Raises:
            CheckpointError: it is damaged.
            ConfigError: there is no such checkpoint.
        """
        return self._open(self.find(step)).origin

    def find(self, step: int | None) -> int:
        """The step asked for, or the last one.

        Raises:
            ConfigError: there is no such checkpoint; lists those that are there.
        """
        self.wait()
        steps = self.steps
        step = steps[-1] if steps and step is None else step
        if step is not None and not is_first() and appears(self.folder / str(step)):
            return step  # the first process has seen it
        if step not in steps or step is None:
            there = ", ".join(map(str, steps)) or "none"
            asked = "" if step is None else f" for step {step}"
            raise ConfigError(f"{self.folder} has no checkpoint{asked}; available: {there}")
        return step

    def close(self) -> None:
        """Wait until all that was begun is on the disk.

        Raises:
            CheckpointError: it could not be written.
        """
        try:
            self.wait()
        finally:
            self._background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
            return
        try:
            with self._reminding():
                self._background.close()  # without other processes, which may be elsewhere
        except CheckpointError as error:
            self._say(f"note: {error}")  # what ended the training comes first

    def _open(self, step: int) -> Saved:
        return open_arrays(self.folder / str(step))

    def _write(self, step: int, state: TrainState) -> None:
        """Write a state, wait for space where there is none, and delete what is not kept."""
        path = self.folder / str(step)
        self._flush_metrics()
        write_patiently(
            lambda: _write_once(path, state, self._origin), f"the checkpoint {path}", self._say
        )
        self._delete_others()

    def _flush_metrics(self) -> None:
        """See that a power failure leaves no checkpoint whose metrics are lost."""
        for path in self._metrics:
            if path.exists():
                flush = functools.partial(flush_to_disk, [path, path.parent])
                write_patiently(flush, path, self._say)

    def _delete_others(self) -> None:
        steps = self._listed()
        for step in steps:
            if step != self._best and step not in steps[-self._keep :]:
                remove(self.folder / str(step))


def write_checkpoint(workdir: pathlib.Path, state: TrainState) -> None:
    """Write a state in host memory as the only checkpoint of a folder; the caller alone does it.

    Raises:
        CheckpointError: the disk stayed full.
    """
    path = folder_of(workdir) / str(int(state.step))
    open_folder(path.parent)
    write_patiently(lambda: _write_once(path, state), f"the checkpoint {path}", print)


def _write_once(
    path: pathlib.Path, state: TrainState, origin: Mapping[str, Any] | None = None
) -> None:
    partial = remove_partial(path)
    try:
        write_arrays(partial, state, origin)
        partial.rename(path)
        flush_to_disk([path.parent])  # before another one is deleted
    except BaseException:
        remove_partial(path)  # it takes the space that is missing
        raise


def last_step(workdir: pathlib.Path) -> int:
    """Step of a run's last checkpoint; 0 where there is none.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    return max(checkpoint_steps(folder_of(workdir)), default=0)


def _describe_good(step: int | None) -> str:
    if step is None:
        return "No other checkpoint is intact"
    return f"The last good checkpoint is that of step {step}"

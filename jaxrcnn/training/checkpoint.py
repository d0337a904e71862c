"""Checkpoints of a run: the whole training state, written by orbax."""

import pathlib
from collections.abc import Collection, Sequence
from typing import Any, Literal, Self

import jax
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.training.files import AGAIN, check_whole, write_list
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.weights import check_shapes, merged, one_line, placed

Checkpoint = Literal["best", "last"] | int
"""Which checkpoint of a run: the best evaluated one, the last one, or that of a step."""


class Checkpoints:
    """The checkpoints of a run, in WORKDIR/checkpoints/STEP.

    A checkpoint is written beside and renamed when whole, so a run that dies leaves the one before.

    Args:
        workdir: the run's folder.
        keep: how many are kept, the last ones, besides that of `keep_best`; None is for reading
            only, beside a run that may be writing: nothing is made or cleaned up.

    Raises:
        ConfigError: there is nothing to read.
    """

    def __init__(self, workdir: pathlib.Path, keep: int | None = None) -> None:
        training: Any = ocp.training  # its policies do not match its own annotations
        self.folder = (workdir / "checkpoints").resolve()  # orbax wants an absolute path
        if keep is None and not self.folder.is_dir():
            raise ConfigError(f"{workdir} has no checkpoints, nor the weights/ of a model")
        self._kept = _Kept(keep or 1)
        self._checkpointer = training.Checkpointer(
            self.folder,
            save_decision_policy=training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=self._kept,
            cleanup_tmp_directories=keep is not None,
        )

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, ascending."""
        return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

    def save(self, state: TrainState) -> None:
        """Write the state, unless its step is written already.

        Raises:
            OSError: it was not written.
        """
        step = int(state.step)
        if step in self.steps:
            return
        if not self._checkpointer.save(step, state):
            raise OSError(f"{self.folder}: the checkpoint for step {step} was not written")
        write_list(self.folder / str(step))

    def keep_best(self, step: int) -> None:
        """Keep the checkpoint of a step, whatever comes later, in place of the best one before."""
        self._kept.best = step
        steps = self.steps
        for other, kept in zip(steps, self._kept.choose(steps), strict=True):
            if not kept:
                self._checkpointer.delete(other)

    def restore(self, like: TrainState) -> TrainState:
        """The state of the last step.

        Args:
            like: a state; gives structure, shapes and placing.

        Raises:
            ConfigError: there is no checkpoint, or it does not fit.
        """
        step = self.find(None)
        check_shapes(self.folder, self._saved(step), like)
        with one_line(self.folder / str(step)):
            return self._checkpointer.load(step, like)

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
            ConfigError: there is no such checkpoint, or it does not fit.
        """
        step = self.find(step)
        saved = self._saved(step)
        averaged = saved["average"] is not None
        there = {name: saved["variables"].get(name) for name in like}
        check_shapes(self.folder, there, like, restart)
        skipped = jax.tree.map(lambda _: ocp.PLACEHOLDER, saved)
        wanted = {**skipped, "variables": {**skipped["variables"], **placed(there, like, restart)}}
        if averaged:
            wanted["average"] = placed({"params": saved["average"]}, like, restart)["params"]
        with one_line(self.folder / str(step)):
            state = self._checkpointer.load(step, wanted)
        variables = {name: state["variables"][name] for name in like}
        if averaged:
            variables["params"] = state["average"]
        return merged(variables, like, restart)

    def _saved(self, step: int) -> Any:
        """The tree of a checkpoint, of shapes, once all of its files are there."""
        path = self.folder / str(step)
        check_whole(path)
        with one_line(path):
            saved: Any = self._checkpointer.metadata(step).metadata
            if not jax.tree.leaves(saved):
                raise ConfigError(f"{path} cannot be read (it lists no arrays); {AGAIN}")
            return saved

    def find(self, step: int | None) -> int:
        """The step asked for, or the last one.

        Raises:
            ConfigError: there is no such checkpoint; lists those that are there.
        """
        steps = self.steps
        if steps and step is None:
            return steps[-1]
        if step not in steps or step is None:
            there = ", ".join(map(str, steps)) or "none"
            asked = "" if step is None else f" for step {step}"
            raise ConfigError(f"{self.folder} has no checkpoint{asked}; available: {there}")
        return step

    def close(self) -> None:
        """Wait for what is being written."""
        self._checkpointer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Kept:
    """Orbax' preservation policy: the last checkpoints and the best one."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.best: int | None = None

    def choose(self, steps: Sequence[int]) -> list[bool]:
        """Whether each of the steps, ascending, is kept."""
        return [step == self.best or step in steps[-self._last :] for step in steps]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """What orbax asks before it deletes checkpoints."""
        return self.choose([checkpoint.step for checkpoint in checkpoints])


def last_step(workdir: pathlib.Path) -> int:
    """Step of a run's last checkpoint; 0 where there is none."""
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)

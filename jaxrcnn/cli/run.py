"""What the commands need of a finished, or half finished, run."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np

from jaxrcnn.cli.options import apply_fields, apply_prediction_fields
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.model import Model, restore
from jaxrcnn.training.checkpoint import Checkpoint
from jaxrcnn.training.workdir import read_config
from jaxrcnn.types import Batch
from jaxrcnn.wording import legible

T = TypeVar("T")


def load_run(
    workdir: pathlib.Path,
    checkpoint: Checkpoint | None = None,
    batch_size: int | None = None,
    fields: Sequence[str] = (),
    pieces: str | None = None,
    together: bool = False,
) -> Model:
    """Read a run's folder, or a model's.

    Args:
        workdir: the folder.
        checkpoint: of a run, as `restore` takes it.
        batch_size: images at a time, by default the run's own; rounded up to a multiple of the
            devices.
        fields: ``--config.FIELD VALUE ...`` on top of its config.
        pieces: what builds its detector, as `find_build` takes it.
        together: whether all processes, if there are several, use it together.

    Raises:
        ConfigError: it is not such a folder, has no such checkpoint, its detector has other
            pieces, or a field is unsound.
    """
    config = apply_fields(read_config(workdir), fields)
    if batch_size is not None:
        config = replace(config, eval=replace(config.eval, batch_size=batch_size))
    return restore(workdir, config, checkpoint, find_build(pieces), note, together)


def load_model(
    folder: pathlib.Path,
    fields: Sequence[str],
    pieces: str | None = None,
    checkpoint: Checkpoint | None = None,
    dtype: Any = None,
) -> Model:
    """Read a run's folder, or a model's, to predict with it.

    Args:
        folder: of the run or the model.
        fields: ``--config.FIELD VALUE ...`` on top of its config.
        pieces: what builds its detector, as `find_build` takes it.
        checkpoint: of a run, as `restore` takes it.
        dtype: model.compute_dtype in place of the config's.

    Raises:
        ConfigError: it is not such a folder, its detector has other pieces, or a field is not one
            that may be changed.
    """
    config = apply_prediction_fields(read_config(folder), fields)
    if dtype is not None:
        config = replace(config, model=replace(config.model, compute_dtype=dtype))
    return restore(folder, config, checkpoint, find_build(pieces), note)


def describe_checkpoint(model: Model) -> str:
    """Which checkpoint of a run was read, such as "step 40 (best eval/AP)"."""
    return f"step {model.step}" + (f" (best {model.best_by})" if model.best_by else "")


def say_checkpoint(model: Model) -> None:
    """Say which checkpoint was read, if the run has a best one besides the last."""
    if model.config.train.keep_best and model.step:
        print(f"checkpoint  {describe_checkpoint(model)}", flush=True)


def note(line: str) -> None:
    """Say something on stderr that is worth knowing and stops nothing."""
    print(f"note: {line}", file=sys.stderr)


@contextlib.contextmanager
def counting(images: int) -> Iterator[Callable[[float], None]]:
    """A function that takes how many more are done; it moves a bar where stdout is a terminal."""
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("images", total=images)
        yield lambda done: progress.advance(task, done)


@contextlib.contextmanager
def progress_bar(predict: Callable[[Batch], T], images: int) -> Iterator[Callable[[Batch], T]]:
    """The same function, with a bar that counts its images where stdout is a terminal."""
    with counting(images) as advance:

        def counted(batch: Batch) -> T:
            found = jax.block_until_ready(predict(batch))
            advance(float(np.count_nonzero(batch.image_weights)))
            return found

        yield counted


def table(groups: Mapping[str, Mapping[str, float]]) -> str:
    """Numbers in groups, a line each, under the groups' titles; an empty group has none."""
    width = max(len(name) for numbers in groups.values() for name in numbers)
    lines = []
    for title, numbers in groups.items():
        if numbers:
            lines += ["", title]
            lines += [f"  {name:{width}}  {number:.3f}" for name, number in numbers.items()]
    return legible("\n".join([*lines, ""]))

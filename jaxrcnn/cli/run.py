"""What the commands need of a finished, or half finished, run."""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from jaxrcnn.cli import parsing
from jaxrcnn.cli.options import apply_fields
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, Variables, build
from jaxrcnn.training.alternating import finished, takes_given
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.weights import holds_weights, load_variables
from jaxrcnn.training.workdir import Classes, read_classes, read_config
from jaxrcnn.types import Batch

T = TypeVar("T")


class Run(NamedTuple):
    """A run's detector, ready to be used."""

    config: Config  # its batch sizes fit the devices that are here
    classes: Classes
    step: int  # of the checkpoint; 0 of a model that is converted
    detector: Detector
    variables: Variables  # on all devices
    programs: Programs


def load_run(
    workdir: pathlib.Path,
    step: int | None = None,
    batch_size: int | None = None,
    fields: Sequence[str] = (),
) -> Run:
    """Read a run's folder, or a model's.

    Args:
        workdir: the folder.
        step: of a run's checkpoint, by default the last.
        batch_size: pictures at a time, by default the run's own; rounded up to a multiple of the
            devices.
        fields: ``--config.FIELD VALUE ...`` on top of its config.

    Raises:
        ConfigError: it is not such a folder, has no such checkpoint, or a field is unsound.
    """
    config = _fit_devices(apply_fields(read_config(workdir), fields), batch_size)
    classes = read_classes(workdir)
    detector = build(config.model)
    programs = compile_programs(detector, config)
    like = programs.state_shapes().variables
    if holds_weights(workdir):
        if step is not None:
            raise ConfigError(f"--step: {workdir} holds a model and no checkpoints of a run")
        variables, step = load_variables(workdir, like), 0
    else:
        with Checkpoints(workdir) as checkpoints:
            variables = checkpoints.restore_variables(like, step)
            step = checkpoints.steps[-1] if step is None else step
    variables = finished(config, variables, step)
    return Run(config, classes, step, detector, variables, programs)


def check_proposes(run: Run) -> None:
    """See that a run's detector makes proposals of its own, for any picture.

    Raises:
        ConfigError: it was trained on given ones.
    """
    if takes_given(run.config, run.step - 1):
        raise ConfigError(
            f"the run trained Fast R-CNN alone, on {run.config.data.train_proposals}, and has no "
            "proposals for other pictures; train an RPN too: jointly with train.init WORKDIR, or "
            "as the next of train.alternating.steps"
        )


def _fit_devices(config: Config, batch_size: int | None) -> Config:
    """Batch sizes that the devices here share evenly: the run may have been made on others."""
    devices = jax.local_device_count()
    wanted = batch_size or config.eval.batch_size
    return replace(
        config,
        train=replace(config.train, batch_size=devices),
        eval=replace(config.eval, batch_size=-(-wanted // devices) * devices),
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR [--step N] [--batch-size N]: what `load_run` takes."""
    parser.add_argument(
        "workdir", metavar="WORKDIR", type=pathlib.Path, help="folder of a run, as train.py left it"
    )
    parser.add_argument(
        "--step", metavar="N", type=parsing.step, help="step of the checkpoint (default: the last)"
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=parsing.count,
        help="pictures at a time (default: the run's eval.batch_size)",
    )


@contextlib.contextmanager
def progress_bar(predict: Callable[[Batch], T], pictures: int) -> Iterator[Callable[[Batch], T]]:
    """The same function, with a bar that counts its pictures where stdout is a terminal."""
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("pictures", total=pictures)

        def counted(batch: Batch) -> T:
            found = jax.block_until_ready(predict(batch))
            progress.advance(task, float(np.count_nonzero(batch.image_weights)))
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
    return "\n".join([*lines, ""])

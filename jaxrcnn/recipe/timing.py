"""How long training takes on this machine, measured before it begins."""

import contextlib
import time

import jax

from jaxrcnn.config import Config
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import Detector
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import compile_programs

STEPS = 3
"""Steps that are timed; the fastest counts, since the machine may have other work."""


def seconds_per_step(
    config: Config, detector: Detector, train_set: Dataset, progress: Progress
) -> float:
    """The seconds that a training step of a config takes, data loading left out.

    The compiled program is kept in this process, so that a run of the same config need not compile
    it again.

    Args:
        config: of the run, as it will be trained.
        detector: built for it.
        train_set: open.
        progress: shows the compilation.

    Raises:
        DataError: the first batch cannot be read.
    """
    programs = compile_programs(detector, config)
    with contextlib.closing(train_batches(train_set, config)) as batches:
        batch = programs.put_batch(next(batches))
    with progress.activity("initialising the parameters"):
        state = jax.block_until_ready(programs.create_state())
    progress.compile("the training step", programs.train_step, state, batch, "joint")
    seconds = []
    with progress.activity("measuring the speed of training"):
        for _ in range(STEPS + 1):  # the first one also allocates memory
            began = time.monotonic()
            state, _ = jax.block_until_ready(programs.train_step(state, batch, "joint"))
            seconds.append(time.monotonic() - began)
    return min(seconds[1:])

"""The step with which a run diverged, once more: as it was, and then operation by operation."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxrcnn.detector import build
from jaxrcnn.training.blame import Origin, find_origin
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.diagnostics import PREFIX
from jaxrcnn.training.failure import FILE, FOLDER, read_failure
from jaxrcnn.training.finite import SKIPPED
from jaxrcnn.training.knobs import knobs_of, without_knobs
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.pieces import Build, build_detector, claim_pieces, own_pieces
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step import step_gradients, step_update
from jaxrcnn.types import Batch


class Replay:
    """A folder that a diverged run wrote, ready to be repeated.

    Args:
        folder: WORKDIR/failure; the run's folder stands for it.
        build: makes the detector, with its pieces that the config does not describe.
        optimizer: of the run.
        say: takes a line for each piece whose source has changed.

    Raises:
        ConfigError: it is not such a folder, or the run had other pieces.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        build: Build = build,
        optimizer: Optimizer = default_optimizer,
        say: Callable[[str], None] = print,
    ) -> None:
        if not (folder / FILE).is_file() and (folder / FOLDER / FILE).is_file():
            folder = folder / FOLDER
        self.folder, self.failure = folder, read_failure(folder)
        config = self.failure.config
        self.detector = build_detector(config.model, build, folder)
        own = own_pieces(
            self.detector, optimizer=None if optimizer is default_optimizer else optimizer
        )
        claim_pieces(folder, own, say)
        self._optimizer = optimizer
        self.programs: Programs = compile_programs(self.detector, config, optimizer)

    def state(self) -> TrainState:
        """The state before the step."""
        with Checkpoints(self.folder) as checkpoints:
            return checkpoints.restore(self.programs.state_shapes())

    def repeat(self) -> dict[str, tuple[float, float]]:
        """Run the step as the run did; the metrics that differ, before and now, bit for bit.

        But for the number of updates left out in a row, since the steps before are not run.
        """
        batch, stage = self.programs.put_batch(self.failure.batch), self.failure.stage
        _, metrics = self.programs.train_step(self.state(), batch, stage)
        return {
            name: (before, float(metrics[name]))
            for name, before in self.failure.metrics.items()
            if name in metrics
            and name != SKIPPED
            and not name.startswith(PREFIX)
            and not np.array_equal(before, float(metrics[name]), equal_nan=True)
        }

    def find(self) -> Origin | None:
        """Where the step stops being finite, looked for one operation after the other.

        None if all results are finite, as an overflow may be when operations are not compiled
        together.
        """
        failure, state = self.failure, self.state()
        knobs, config = knobs_of(failure.config), without_knobs(failure.config)
        detector = self.detector._replace(config=config.model)

        def results(state: TrainState, batch: Batch) -> tuple[Any, ...]:
            gradients, found = step_gradients(detector, config, state, batch, knobs, failure.stage)
            updated = step_update(config, state, gradients, failure.stage, self._optimizer)
            return found.losses, gradients, found.batch_stats, updated

        arguments = (state, failure.batch)
        names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(arguments)]
        return find_origin(results, names, *arguments)


def _name(path: tuple[Any, ...]) -> str:
    """The name of an argument: "the state's variables/params/..." or "the batch's images"."""
    owner = "the state's" if path[0].idx == 0 else "the batch's"
    return f"{owner} {jax.tree_util.keystr(path[1:], simple=True, separator='/')}"


def remarks(batch: Batch) -> list[str]:
    """What is unusual about a batch's numbers, a line each: pixels and boxes."""
    lines = []
    for name in ("images", "boxes", "box_weights", "image_weights"):
        array = np.asarray(getattr(batch, name))
        if not np.isfinite(array).all():
            lines.append(f"the batch's {name} are not finite")
    sides = np.asarray(batch.boxes)[..., 2:] - np.asarray(batch.boxes)[..., :2]
    for image, box in np.argwhere(np.asarray(batch.box_valid) & ~(sides > 0).all(-1)):
        corners = ", ".join(f"{x:.1f}" for x in np.asarray(batch.boxes)[image, box])
        lines.append(f"image {image} of the batch: ground-truth box {box} is empty ({corners})")
    return lines

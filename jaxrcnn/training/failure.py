"""What repeats the step with which a run diverged: WORKDIR/failure.

The folder stands by itself: config.json, the state before the step as a checkpoint, the batch in
batch.npz, and failure.json, which says in words and numbers what happened.
"""

import contextlib
import json
import math
import pathlib
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import config_to_json
from jaxrcnn.detector import Detector
from jaxrcnn.opening import open_file, read_json
from jaxrcnn.training import pieces
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.arrays import host_copy
from jaxrcnn.training.checkpoint import Checkpoints, write_checkpoint
from jaxrcnn.training.diagnostics import PREFIX
from jaxrcnn.training.divergence import PLACES, describe_origin
from jaxrcnn.training.errors import CheckpointError, NonFiniteLossError
from jaxrcnn.training.finite import LastSteps, Taken
from jaxrcnn.training.hosts import from_first
from jaxrcnn.training.knobs import step_key
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.workdir import read_config
from jaxrcnn.types import Array, Batch, Proposals

FOLDER = "failure"
FILE, BATCH = "failure.json", "batch.npz"
STEP_PIECES = (*Detector._fields, "optimizer")
"""The pieces of one's own that a step depends on, apart from its batch."""


class Failure(NamedTuple):
    """A step that was not finite, as its folder has it."""

    config: Config
    step: int  # the number of the step, from 1; the state is that after the step before
    stage: Stage
    batch: Batch  # numpy arrays
    images: tuple[str, ...]  # names of the batch's images
    metrics: dict[str, float]  # that the step gave
    message: str  # with which the run ended
    devices: str  # that the run had


@contextlib.contextmanager
def recorded_failure(
    workdir: pathlib.Path,
    config: Config,
    last: LastSteps,
    checkpoints: Checkpoints,
    name_image: Callable[[int], str],
) -> Iterator[None]:
    """Save the last good state and write WORKDIR/failure if the steps inside diverge.

    Args:
        workdir: the run's folder.
        config: of the run.
        last: has the steps.
        checkpoints: of the run.
        name_image: the name of an image, by its place in the data set.

    Raises:
        NonFiniteLossError: with a message that says where the folder is.
    """
    try:
        yield
    except NonFiniteLossError as error:
        taken = last.taken.get(error.step)
        if taken is None or last.state is None:
            raise
        message = f"{error} {_save(checkpoints, last.state)}"
        where = write_failure(workdir, config, error.step, last.state, taken, message, name_image)
        raise NonFiniteLossError(error.step, f"{message} {where}") from None


def _save(checkpoints: Checkpoints, state: TrainState) -> str:
    """Save the last good state; a sentence that says so, or why it is not saved."""
    try:
        checkpoints.save(state)
        checkpoints.wait()
    except CheckpointError as error:
        return f"The state before this step could not be saved ({error})."
    return f"Checkpoint {int(state.step)} holds the state before this step."


def write_failure(
    workdir: pathlib.Path,
    config: Config,
    step: int,
    state: TrainState,
    taken: Taken,
    message: str,
    name_image: Callable[[int], str],
) -> str:
    """Write WORKDIR/failure, and say how it is used.

    A folder of the same step is replaced, and one of another step is kept as failure_step_N.

    Args:
        workdir: the run's folder.
        config: of the run.
        step: the number of the step.
        state: before the step.
        taken: what the step took, besides the state, and gave.
        message: with which the run ends.
        name_image: the name of an image, by its place in the data set.

    Returns:
        A sentence: the command that repeats the step, or why the folder could not be written.
    """
    folder = workdir / FOLDER
    try:
        before = host_copy(state._replace(step=jnp.int32(step - 1)))
        batch, metrics = host_copy((taken.batch, dict(taken.metrics)))

        def write() -> bool:
            says = _description(config, step, taken.stage, batch, metrics, message, name_image)
            return _write(workdir, config, step, before, batch, says)

        # The others stay as long as the first process writes: one that ends would end it too.
        own = from_first(write)
    except Exception as error:  # such as a full disk: why the run ends matters more
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"The folder that repeats the step, {folder}, could not be written ({reason})."
    more = " --pieces ... (as in training)" if own else ""
    return f"To repeat this step and find the operation, run: jaxrcnn replay {folder}{more}"


def _write(
    workdir: pathlib.Path,
    config: Config,
    step: int,
    before: TrainState,
    batch: Batch,
    description: Mapping[str, Any],
) -> bool:
    """Write WORKDIR/failure with the state before the step; whether it names pieces."""
    folder, partial = workdir / FOLDER, workdir / f"{FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(config_to_json(config), encoding="utf-8")
    np.savez_compressed(partial / BATCH, **_flat(batch))
    own = pieces.copy_pieces(workdir, partial, STEP_PIECES)
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (partial / FILE).write_text(text + "\n", encoding="utf-8")
    write_checkpoint(partial, before)
    _make_way(folder, step)
    partial.rename(folder)
    return bool(own)


def read_failure(folder: pathlib.Path) -> Failure:
    """Read a folder that `write_failure` wrote, without its state.

    Raises:
        ConfigError: it is not such a folder, or a file cannot be read.
    """
    if not (folder / FILE).is_file() and (folder / FOLDER / FILE).is_file():
        folder = folder / FOLDER
    if not (folder / FILE).is_file():
        raise ConfigError(
            f"{folder} has no {FILE}: it is not the folder that a diverged run writes, "
            f"WORKDIR/{FOLDER}"
        )
    config = read_config(folder)
    try:
        tree = read_json(folder / FILE)
        with open_file(folder / BATCH) as file, np.load(file, allow_pickle=False) as arrays:
            batch = _batch_of({name: arrays[name] for name in arrays.files})
        return Failure(
            *(config, int(tree["step"]), tree["stage"], batch, tuple(tree["images"])),
            {name: float(value) for name, value in tree["metrics"].items()},
            *(str(tree["message"]), str(tree["devices"])),
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        BadZipFile,
    ) as error:
        raise ConfigError(f"{folder} cannot be read ({type(error).__name__}: {error})") from error


def describe_devices() -> str:
    """The number of devices and their kind, such as "1 x cpu"."""
    return f"{jax.device_count()} x {jax.devices()[0].device_kind}"


def _description(
    config: Config,
    step: int,
    stage: Stage,
    batch: Batch,
    metrics: Mapping[str, Any],
    message: str,
    name_image: Callable[[int], str],
) -> dict[str, Any]:
    """What failure.json says."""
    place, image = int(metrics["origin_place"]), int(metrics["origin_image"])
    names = ("jaxrcnn", "jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "message": message,
        "step": step,
        "stage": stage,
        "first_not_finite": {
            "tensor": list(PLACES)[place] if place >= 0 else None,
            "where": describe_origin(metrics, name_image),
            "image": name_image(image) if image >= 0 else None,
        },
        "metrics": {
            name: _number(float(value))
            for name, value in metrics.items()
            if not name.startswith(PREFIX)
        },
        "images": [
            name_image(int(index)) if weight > 0 else ""
            for index, weight in zip(batch.image_index, batch.image_weights, strict=True)
        ],
        "image_index": np.asarray(batch.image_index).tolist(),
        "seed": config.seed,
        "key": jax.random.key_data(step_key(config.seed, step - 1)).tolist(),
        "devices": describe_devices(),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version(), **{n: _version(n) for n in names}},
    }


def _number(value: float) -> float | str:
    """The number, or "nan", "inf" or "-inf", for which JSON has no words."""
    return value if math.isfinite(value) else str(value)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a checkout
        return None


def _make_way(folder: pathlib.Path, step: int) -> None:
    """Remove the folder of the same step, or rename that of another."""
    if not folder.exists():
        return
    try:
        before = int(read_json(folder / FILE)["step"])
    except (OSError, ValueError, KeyError, TypeError):
        before = step
    if before == step:
        shutil.rmtree(folder)
        return
    kept = folder.with_name(f"{FOLDER}_step_{before}")
    shutil.rmtree(kept, ignore_errors=True)
    folder.rename(kept)


def _flat(batch: Batch) -> dict[str, Any]:
    """The arrays of a batch by name, "proposals/boxes" and "extra/NAME" among them."""
    flat = {}
    for name, value in batch._asdict().items():
        if isinstance(value, Proposals):
            flat |= {f"{name}/{k}": np.asarray(x) for k, x in value._asdict().items()}
        elif isinstance(value, dict):
            flat |= {f"{name}/{k}": np.asarray(x) for k, x in value.items()}
        elif value is not None:
            flat[name] = np.asarray(value)
    return flat


def _batch_of(flat: Mapping[str, Any]) -> Batch:
    """The inverse of `_flat`."""
    groups: dict[str, dict[str, Array]] = {"proposals": {}, "extra": {}}
    own = {}
    for name, value in flat.items():
        group, slash, rest = name.partition("/")
        if slash:
            groups[group][rest] = value
        else:
            own[name] = value
    proposals = Proposals(**groups["proposals"]) if groups["proposals"] else None
    return Batch(**own, proposals=proposals, extra=groups["extra"] or None)

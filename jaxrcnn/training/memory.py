"""Whether a training step fits into memory, before the first one, and errors where it does not.

The forecast is what XLA has planned for the compiled step. It is exact for an accelerator, which is
XLA's alone. A host's memory is shared, and other programs may end: a run is only refused where the
step could never fit, and warned where it does not fit now.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.runtime.room import Room, device_room, host_room
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.program import Program
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Batch

NEARLY = 0.9
"""Share of what is free from which a line is printed."""
AHEAD, THREADS = 2, 4
"""Batches that a worker process makes ahead, and threads without any (`data.loader`)."""
SIGNS = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "bad_alloc", "Unable to allocate")
"""In the messages of errors for want of memory, of XLA, of C++ and of numpy."""


class OutOfMemoryError(ConfigError):
    """There is not enough memory for what a config asks for; the message is a single line."""


class Need(NamedTuple):
    """Bytes that a step takes besides the state and the batch, which are there."""

    step: int  # on each device
    gradients: int  # of it, what does not depend on the batch
    inputs: int  # of batches made ahead, on the host


def need_of(planned: Any, state: TrainState, batch: Batch, config: Config) -> Need:
    """What a step takes.

    Args:
        planned: XLA's `memory_analysis`, of each device.
        state, batch: of the step.
        config: of the run.
    """
    new = planned.output_size_in_bytes - planned.alias_size_in_bytes
    step = planned.temp_size_in_bytes + new + planned.generated_code_size_in_bytes
    workers = config.data.workers
    ahead = workers * AHEAD if workers else 2 * THREADS
    return Need(step, _bytes_of(state.variables["params"]), ahead * _bytes_of(batch))


def check_memory(
    planned: Any,
    state: TrainState,
    batch: Batch,
    config: Config,
    say: Callable[[str], None],
    rooms: Callable[[], tuple[Room | None, Room | None]] | None = None,
) -> None:
    """Compare what a compiled step will take with what is free.

    Args:
        planned: XLA's `memory_analysis` of the step; None where the backend does not say.
        state, batch: of the step.
        config: of the run.
        say: takes a line if it is more than NEARLY all, or does not fit on the host now.
        rooms: of the fullest device, if it is an accelerator, and of the host.

    Raises:
        OutOfMemoryError: it does not fit on a device, or can never fit on the host.
    """
    if planned is None:
        return
    need = need_of(planned, state, batch, config)
    on_device, on_host = (rooms or find_rooms)()
    if on_device is not None:
        _compare(need.step, on_device, need, config, say)
        _compare(need.inputs, on_host, need, config, say)
    else:
        devices = len(jax.local_devices())
        _compare(devices * need.step + need.inputs, on_host, need, config, say)


class Forecast:
    """Checks the memory of each program once, before its first step.

    Args:
        config: of the run.
        program: the training step, compiled for the arguments of a call.
        say: takes a line if memory is scarce.
    """

    def __init__(self, config: Config, program: Program, say: Callable[[str], None]) -> None:
        self._config, self._program, self._say = config, program, say
        self._seen: set[Hashable] = set()

    def __call__(self, state: TrainState, batch: Batch, stage: Stage) -> None:
        """Check it for such a step.

        Raises:
            OutOfMemoryError: it does not fit.
        """
        kind = stage, batch.images.shape
        if kind not in self._seen:
            planned = self._program.planned(state, batch, stage)
            check_memory(planned, state, batch, self._config, self._say)
        self._seen.add(kind)


def find_rooms() -> tuple[Room | None, Room | None]:
    """The room of the fullest accelerator, if there is one, and that of the host."""
    rooms = [room for device in jax.local_devices() if (room := device_room(device))]
    return min(rooms, key=lambda room: room.free) if rooms else None, host_room()


def _compare(
    size: int, room: Room | None, need: Need, config: Config, say: Callable[[str], None]
) -> None:
    if room is None or size <= NEARLY * room.free:
        return
    text = (
        f"the training step needs about {gigabytes(size)} more {room.limit}, and "
        f"{gigabytes(room.free)} are free"
    )
    if size > room.most:
        raise OutOfMemoryError(f"{text}: {remedy(config, need)}")
    say(f"note: {text}; if training runs out of memory, {remedy(config, need)}")


def remedy(config: Config, need: Need | None = None) -> str:
    """The fields that help, with their values."""
    train, data = config.train, config.data
    smaller = f"lower train.batch_size (now {train.batch_size})"
    if need is not None and train.batch_size > 1:
        half = need.step - max(need.step - need.gradients, 0) // 2
        smaller += f", about {gigabytes(half)} with half of it"
    parts = [
        smaller,
        f"or data.short_side and data.long_side (now {data.short_side} and {data.long_side})",
    ]
    if config.model.compute_dtype == "float32" and jax.default_backend() != "cpu":
        parts.append("or set model.compute_dtype=bfloat16")
    if len(jax.devices()) > 1 and train.mesh.fsdp == 1:
        parts.append("or divide the parameters among devices with train.mesh.fsdp")
    if data.workers:
        parts.append(f"or lower data.workers (now {data.workers})")
    return ", ".join(parts) + (
        "; train.optimizer.accumulate makes up for a smaller batch" if train.batch_size > 1 else ""
    )


@contextlib.contextmanager
def memory_errors(config: Config | None = None) -> Iterator[None]:
    """Turn errors for want of memory into one line.

    Args:
        config: of the run, whose fields the line names.

    Raises:
        OutOfMemoryError: in the place of such an error.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(describe_out_of_memory(error, config)) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of the host or of a device."""
    if isinstance(error, ConfigError):
        return False
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def describe_out_of_memory(error: BaseException, config: Config | None = None) -> str:
    """One line about such an error: what the system says, and the fields that help."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if config is not None:
        return f"out of memory ({said}): {remedy(config)}. Checkpoints are unaffected"
    return (
        f"out of memory ({said}): use smaller batches (--batch-size, eval.batch_size or "
        "train.batch_size) or smaller images (data.short_side and data.long_side)"
    )


def gigabytes(size: int) -> str:
    """Bytes in words, such as "1.5 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _bytes_of(tree: Any) -> int:
    """Bytes of all arrays on one device."""
    return sum(
        x.dtype.itemsize * _size(getattr(x, "sharding", None), x.shape)
        for x in jax.tree.leaves(tree)
    )


def _size(sharding: Any, shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape if sharding is None else sharding.shard_shape(shape):
        size *= length
    return size

"""How the devices of a run are arranged, and how its arrays are divided among them.

The mesh has two axes. Images are divided along both, so that each device has some of its own;
large parameters, and the state of the optimiser for them, along "fsdp" alone. XLA inserts the
exchanges that a program then needs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrcnn.config import ConfigError, MeshConfig

AXES = ("data", "fsdp")

LARGE = 2**14
"""Elements from which an array is divided: a smaller one costs less than the exchange of it."""


ONE_GROUP_EACH = MeshConfig()
"""Every device has all parameters."""


def make_mesh(config: MeshConfig = ONE_GROUP_EACH, devices: Sequence[Any] | None = None) -> Mesh:
    """The devices as a mesh ("data", "fsdp"); those of a group are neighbours.

    Args:
        config: the sides of the mesh.
        devices: by default all of this process and, if there are others, of theirs.

    Raises:
        ConfigError: the mesh has another number of devices.
    """
    devices = jax.devices() if devices is None else devices
    number, fsdp = len(devices), config.fsdp
    data = config.data or number // fsdp
    if data * fsdp != number:
        if config.data:
            raise ConfigError(
                f"train.mesh.data={data} and train.mesh.fsdp={fsdp} need {data * fsdp} devices, "
                f"and there are {number}; train.mesh.data=0 takes as many as there are"
            )
        raise ConfigError(f"train.mesh.fsdp={fsdp} must divide {number}, the number of devices")
    return jax.make_mesh((data, fsdp), AXES, (AxisType.Auto,) * 2, devices=devices)


def everywhere(mesh: Mesh) -> NamedSharding:
    """The placing of an array that each device holds as a whole."""
    return NamedSharding(mesh, PartitionSpec())


def along_images(mesh: Mesh) -> NamedSharding:
    """The placing of an array whose first axis is that of the images."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def put(array: Any, placing: NamedSharding) -> jax.Array:
    """An array in host memory, the same in all processes, on the devices of a placing."""
    if placing.is_fully_addressable:
        return jax.device_put(array, placing)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, placing, lambda index: array[index])


def put_everywhere(arrays: Any, mesh: Mesh) -> Any:
    """The same arrays as a whole on each device of a mesh."""
    return jax.tree.map(lambda x: put(x, everywhere(mesh)), arrays)


def put_images(batch: Any, mesh: Mesh) -> Any:
    """A batch on the devices of a mesh, of which this process has the images of `own_rows`."""
    placing = along_images(mesh)
    if placing.is_fully_addressable:
        return jax.device_put(batch, placing)
    others = mesh.size // len(mesh.local_devices)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(
            placing, np.asarray(x), (len(x) * others, *x.shape[1:])
        ),
        batch,
    )


def own_rows(size: int, mesh: Mesh) -> list[int]:
    """The places in a batch of such a size of the images that this process has, ascending."""
    parts = along_images(mesh).addressable_devices_indices_map((size,)).values()
    return sorted(row for part in parts if part for row in range(size)[part[0]])


def own_part(found: Any, rows: Callable[[int], Sequence[int]]) -> Any:
    """What a program found in the images of this process; scalars stay as they are."""
    if rows is range:
        return found
    return jax.tree.map(lambda x: np.asarray(x)[rows(len(x))] if np.ndim(x) else x, found)


def whole(array: Any) -> Any:
    """An array of which each process has all; all that hold parts of it call this."""
    shared = isinstance(array, jax.Array) and not array.is_fully_addressable
    if shared and not array.is_fully_replicated:
        placing: Any = array.sharding
        array = jax.jit(_same, out_shardings=everywhere(placing.mesh))(array)
    return array


def _same(array: jax.Array) -> jax.Array:
    return array


def divided(tree: Any, mesh: Mesh) -> Any:
    """The placing of parameters and of all that has their shapes, for each array of a tree.

    A large array is divided along its longest axis that "fsdp" divides, the last of several.
    """
    return jax.tree.map(lambda x: NamedSharding(mesh, _spec(x.shape, mesh.shape["fsdp"])), tree)


def _spec(shape: tuple[int, ...], fsdp: int) -> PartitionSpec:
    size = 1
    for side in shape:
        size *= side
    sides = [(side, axis) for axis, side in enumerate(shape) if side % fsdp == 0]
    if fsdp == 1 or size < LARGE or not sides:
        return PartitionSpec()
    _, longest = max(sides)
    return PartitionSpec(*(None,) * longest, "fsdp")

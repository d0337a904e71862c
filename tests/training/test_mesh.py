import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from jaxrcnn.config import ConfigError, MeshConfig
from jaxrcnn.training.mesh import AXES, LARGE, divided, make_mesh


@pytest.mark.parametrize(
    ("sides", "devices", "message"),
    [
        ((2, 2), 8, "train.mesh.data=2 and train.mesh.fsdp=2 need 4 devices, and there are 8; "),
        ((4, 4), 8, "train.mesh.data=4 and train.mesh.fsdp=4 need 16 devices, and there are 8; "),
        ((0, 3), 8, "train.mesh.fsdp=3 must divide 8, the number of devices"),
        ((0, 16), 8, "train.mesh.fsdp=16 must divide 8, the number of devices"),
    ],
)
def test_a_mesh_of_another_number_of_devices_is_refused(sides, devices, message):
    with pytest.raises(ConfigError) as refused:
        make_mesh(MeshConfig(*sides), [None] * devices)
    assert str(refused.value).startswith(message)


def test_by_default_every_device_is_a_group():
    mesh = make_mesh()
    assert dict(mesh.shape) == {"data": len(jax.devices()), "fsdp": 1}


@pytest.mark.parametrize(
    ("shape", "fsdp", "spec"),
    [
        ((3, 3, 128, 256), 4, (None, None, None, "fsdp")),
        ((3, 3, 256, 128), 4, (None, None, "fsdp")),
        ((3, 3, 128, 128), 4, (None, None, None, "fsdp")),  # the last of those that are as long
        ((12544, 1023), 4, ("fsdp",)),
        ((1023, 1023), 4, ()),  # no side can be divided
        ((1024, 1024), 1, ()),
        ((LARGE,), 4, ("fsdp",)),
        ((LARGE - 4,), 4, ()),  # too small
        ((), 4, ()),
    ],
)
def test_large_arrays_are_divided_along_their_longest_side(shape, fsdp, spec):
    mesh = AbstractMesh((2, fsdp), AXES)
    placing = divided({"w": jax.ShapeDtypeStruct(shape, np.float32)}, mesh)["w"]
    assert placing.spec == PartitionSpec(*spec)

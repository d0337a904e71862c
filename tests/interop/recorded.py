"""The recorded weight files, and what their recorders say is in them."""

import pathlib

import numpy as np
import pytest

from jaxrcnn.interop.tensors import WeightFileError
from jaxrcnn.interop.weight_files import read_weights

DATA = pathlib.Path(__file__).with_name("data")
TORCH = ("torch_1.13", "torch_2.13")


def expected_of(folder):
    with np.load(DATA / folder / "expected.npz") as arrays:
        return dict(arrays)


def assert_equal(found, expected):
    """The same names, shapes, types and values; bfloat16 is recorded as float32."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        kind = "bfloat16" if name.endswith("bfloat16") else values.dtype.newbyteorder("=").name
        assert (name, found[name].dtype.name) == (name, kind)
        assert (name, found[name].shape) == (name, values.shape)
        np.testing.assert_array_equal(found[name].astype(values.dtype), values, err_msg=name)


def complaint(path):
    """The one line that reading ends in."""
    with pytest.raises(WeightFileError) as error:
        read_weights(path)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")

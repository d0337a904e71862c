import numpy as np
import pytest

from jaxrcnn.interop.allow_list import GLOBALS, put
from jaxrcnn.interop.tensors import (
    MAX_ELEMENTS,
    Array,
    DType,
    Storage,
    StorageType,
    Tensor,
    Unread,
    WeightFileError,
)

STORAGE = Storage(np.dtype(np.float32), "0", 12)
rebuild = GLOBALS["torch._utils._rebuild_tensor_v2"]


def test_nothing_that_is_allowed_is_of_another_module():
    for name, value in GLOBALS.items():
        if callable(value):
            assert (name, value.__module__) == (name, "jaxrcnn.interop.allow_list")
        else:
            assert value is None or isinstance(value, StorageType)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("Double", "float64"), ("Float", "float32"), ("Half", "float16")],
        *[("BFloat16", "bfloat16"), ("Long", "int64"), ("Int", "int32"), ("Short", "int16")],
        *[("Char", "int8"), ("Byte", "uint8"), ("Bool", "bool")],
    ],
)
def test_the_names_of_torch(name, kind):
    assert GLOBALS[f"torch.{name}Storage"].dtype.name == kind


def test_a_tensor_is_remembered_and_nothing_more():
    assert rebuild(STORAGE, 1, (2, 3), (3, 1), False, {}) == Tensor(STORAGE, 1, (2, 3), (3, 1))
    assert GLOBALS["torch._utils._rebuild_parameter"](rebuild(STORAGE, 0, (), ()), True, {}) == (
        Tensor(STORAGE, 0, (), ())
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (None, 0, (1,), (1,)),
        (STORAGE, -1, (1,), (1,)),
        (STORAGE, 1.0, (1,), (1,)),
        (STORAGE, 0, (-1,), (1,)),
        (STORAGE, 0, (True,), (1,)),
        (STORAGE, 0, [1], (1,)),
        (STORAGE, 0, (1.5,), (1,)),
        (STORAGE, 0, (2,), (-1,)),
        (STORAGE, 0, (2,), (None,)),
        (STORAGE, 0, (2,), (1, 1)),
        (STORAGE, 0, (1,) * 33, (1,) * 33),
        (STORAGE, 0, (MAX_ELEMENTS, 2), (0, 0)),
        (STORAGE, 0, (0, MAX_ELEMENTS + 1), (1, 1)),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(arguments):
    with pytest.raises(WeightFileError, match=r"torch\.Tensor"):
        rebuild(*arguments)


def test_ordered_dicts_come_empty_or_as_pairs():
    assert GLOBALS["collections.OrderedDict"]() == {}
    assert GLOBALS["collections.OrderedDict"]([["b", 1], ("a", 2)]) == {"b": 1, "a": 2}


@pytest.mark.parametrize("code", ["O", "O8", "V4", "S3", "U1", "f16", "c8", "M8", "f4,f4", "f4\n"])
def test_values_that_are_no_numbers_are_unread(code):
    name = ascii(code)[1:-1]
    assert GLOBALS["numpy.dtype"](code, False, True) == Unread(f"numpy.dtype {name}")


def test_a_buffer_becomes_an_array():
    dtype = DType("u1")
    array = GLOBALS["numpy._core.numeric._frombuffer"](bytearray(b"\1\2\3\4"), dtype, (2, 2), "F")
    assert isinstance(array, Array)
    assert (array.shape, array.dtype, array.fortran) == ((2, 2), dtype, True)


def test_keys_are_names_or_small_numbers():
    target = {}
    put(target, ["a", 1, 2, 3])
    assert target == {"a": 1, 2: 3}
    for key in (None, 1.5, b"a", ("a",), 2**31, -(2**31), target):
        put(target, [key, 1])
    assert target == {"a": 1, 2: 3}

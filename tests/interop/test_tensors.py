import numpy as np
import pytest

from jaxrcnn.interop.tensors import Array, DType, Storage, Tensor, WeightFileError, printable

VALUES = np.arange(24, dtype=np.float32)
STORAGE = Storage(np.dtype(np.float32), "0", 24)


def view(offset, shape, strides, storage=STORAGE):
    return Tensor(storage, offset, shape, strides).array(lambda _: memoryview(VALUES.tobytes()))


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "expected"),
    [
        (0, (2, 3, 4), (12, 4, 1), VALUES.reshape(2, 3, 4)),
        (0, (4, 3, 2), (1, 4, 12), VALUES.reshape(2, 3, 4).transpose()),
        (5, (2, 3), (12, 2), VALUES.reshape(2, 12)[:, 5:11:2]),
        (23, (), (), VALUES[23]),
        (3, (5, 2), (0, 1), np.broadcast_to(VALUES[3:5], (5, 2))),
        (23, (1, 1), (10**30, 24), VALUES[23:].reshape(1, 1)),
        (24, (0, 5), (7, 1), np.zeros((0, 5), np.float32)),
    ],
)
def test_a_tensor_is_a_view_of_its_storage(offset, shape, strides, expected):
    found = view(offset, shape, strides)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    assert not found.size or not found.flags.writeable


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "last"),
    [
        (24, (), (), 24),
        (0, (25,), (1,), 24),
        (13, (2, 3, 4), (12, 4, 1), 36),
        (0, (2, 2), (23, 1), 24),
        (10**20, (1,), (1,), 10**20),
    ],
)
def test_a_tensor_stays_inside_its_storage(offset, shape, strides, last):
    with pytest.raises(WeightFileError, match=f"element {last} of the storage 0 with 24 elements"):
        view(offset, shape, strides)


def test_bytes_count_those_of_the_dense_array():
    assert Tensor(STORAGE, 0, (5, 2), (0, 1)).nbytes == 40
    assert Tensor(STORAGE, 0, (), ()).nbytes == 4
    assert Array((2, 0), DType("f8")).nbytes == 0


@pytest.mark.parametrize(("order", "data"), [("<", b"\1\0\2\0"), (">", b"\0\1\0\2")])
def test_an_array_has_this_machines_byte_order(order, data):
    dtype = DType("i2")
    dtype.build((3, order, None, None, None, -1, -1, 0))
    array = Array((2,), dtype, False, data).array(lambda _: memoryview(b""))
    assert array.tolist() == [1, 2]
    assert array.dtype == np.int16
    assert array.dtype.isnative


@pytest.mark.parametrize("state", [(3, "x", None, None, None, -1, -1, 0), (3, "<"), "<", None])
def test_a_byte_order_that_cannot_be_is_refused(state):
    with pytest.raises(WeightFileError, match=r"numpy\.dtype"):
        DType("i2").build(state)


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (Array(), r"numpy\.ndarray"),
        (Array((3,), DType("i2"), False, b"\0" * 5), "with 5 bytes"),
        (Array((3,), DType("i2"), False, ""), "with 0 bytes"),
        (Array((2**40,), DType("i2"), False, b"ab"), "with 2 bytes"),
        (Array((3,), DType("i1"), False, "ab\u0100"), r"numpy\.ndarray"),
    ],
)
def test_an_array_has_the_bytes_that_its_shape_needs(array, part):
    with pytest.raises(WeightFileError, match=part):
        array.array(lambda _: memoryview(b""))


def test_texts_of_a_file_are_printed_in_a_short_line():
    assert printable("layer1.0.weight") == "layer1.0.weight"
    assert printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert printable("x" * 101) == "x" * 100 + "..."

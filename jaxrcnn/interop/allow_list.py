"""What the pickle in a weight file may name, and the functions that stand in for it."""

import re
from typing import Any

import ml_dtypes
import numpy as np

from jaxrcnn.interop.tensors import (
    Array,
    DType,
    Storage,
    StorageType,
    Tensor,
    Unread,
    are_lengths,
    printable,
    unfit,
)

STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
"""torch's names, and the type of the elements."""


def put(target: dict, pairs: list) -> None:
    """Put keys and values into a dict.

    Only keys that are strings or small numbers are kept: others may take forever to hash, and no
    weight has such a name.

    Args:
        target: of any keys.
        pairs: key, value, key, value.

    Raises:
        WeightFileError: a value is missing.
    """
    if len(pairs) % 2:
        raise unfit("dict")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if isinstance(key, str) or (isinstance(key, int) and abs(key) < 2**31):
            target[key] = value


def _ordered_dict(*args: Any) -> dict:
    result = {}
    match args:
        case ():
            return result
        case (list(pairs),):  # as Python 2 writes it
            for pair in pairs:
                match pair:
                    case [key, value]:
                        put(result, [key, value])
                    case _:
                        raise unfit("collections.OrderedDict")
            pairs.clear()  # so that a file cannot have one list copied again and again
            return result
    raise unfit("collections.OrderedDict")


def _counter(*args: Any) -> dict:
    match args:
        case (dict(counts),):
            return counts
    raise unfit("collections.Counter")


def _tensor(*args: Any) -> Tensor:
    match args:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_) if (
            offset >= 0
            and are_lengths(shape)
            and len(strides) == len(shape)
            and all(isinstance(stride, int) and stride >= 0 for stride in strides)
        ):
            return Tensor(storage, offset, shape, strides)
    raise unfit("torch.Tensor")


def _parameter(*args: Any) -> Tensor:
    match args:
        case (Tensor() as tensor, *_):
            return tensor
    raise unfit("torch.nn.Parameter")


def _size(*args: Any) -> tuple:
    match args:
        case (tuple(lengths),):
            return lengths
    raise unfit("torch.Size")


def _dtype(*args: Any) -> DType | Unread:
    match args:
        case (str(code), *_):
            if re.fullmatch("b1|[iu][1248]|f[248]", code):
                return DType(code)
            return Unread(f"numpy.dtype {printable(code)}")
    raise unfit("numpy.dtype")


def _scalar(*args: Any) -> Array:
    match args:
        case (DType() as dtype, str() | bytes() as data):
            return Array((), dtype, False, data)
    raise unfit("numpy.core.multiarray.scalar")


def _from_buffer(*args: Any) -> Array:
    match args:
        case (data, dtype, shape, "C" | "F" as order):
            array = Array()
            array.build((1, shape, dtype, order == "F", data))
            return array
    raise unfit("numpy.core.numeric._frombuffer")


def _latin1(*args: Any) -> str:
    """The text itself, so that a file cannot have one text copied again and again."""
    match args:
        case (str(text), "latin1"):
            return text
    raise unfit("_codecs.encode")


def _no_bytes(*args: Any) -> bytes:
    if args:
        raise unfit("bytes")
    return b""


GLOBALS: dict[str, Any] = {
    **{f"torch.{name}": StorageType(np.dtype(kind)) for name, kind in STORAGES.items()},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Size": _size,
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "numpy.ndarray": None,  # only ever an argument
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", lambda *_: Array()),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
    "_codecs.encode": _latin1,
    "__builtin__.bytes": _no_bytes,
}
"""All that is read; the functions stand in for what unpickling would call."""

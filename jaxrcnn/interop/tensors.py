"""The tensors that a pickle holds: inert records of where their numbers lie.

Nothing of torch, and nothing that numpy would unpickle with, stands behind them. What they say is
checked when they are made arrays. All other objects are `Unread`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrcnn.config import ConfigError

MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**40
"""Of a tensor, counting an empty dimension as 1."""

ANEW = "download or save it again"


class WeightFileError(ConfigError):
    """A weight file cannot be read or written: one line with the file, the fault and a remedy."""


def printable(text: str) -> str:
    """Text of a file for a message: one line, not too long."""
    line = ascii(text)[1:-1]
    return line if len(line) <= 100 else f"{line[:100]}..."


def unfit(name: str) -> WeightFileError:
    """What to raise where a global is given what it does not take."""
    return WeightFileError(f"holds a {name} that cannot be read; {ANEW}")


def are_lengths(values: Any) -> bool:
    """Whether these can be a tensor's shape."""
    if not isinstance(values, tuple) or len(values) > MAX_DIMENSIONS:
        return False
    # A bool is an int to isinstance, and none to numpy.
    if not all(type(n) is int and 0 <= n <= MAX_ELEMENTS for n in values):
        return False
    return math.prod(max(n, 1) for n in values) <= MAX_ELEMENTS


@dataclasses.dataclass(frozen=True, slots=True)  # a file may hold millions
class Unread:
    """An object that is not needed, or a function or class of such: its name and nothing else.

    Whatever a pickle does to one (call it, set its state, fill it) has no effect.
    """

    name: str  # "argparse.Namespace"


@dataclasses.dataclass(frozen=True)
class StorageType:
    """torch's name for the type of a storage's elements."""

    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers beside the pickle; tensors may share it."""

    dtype: np.dtype
    key: str
    size: int  # elements


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A torch tensor. Offset and strides count elements of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the dense array."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self, storage_bytes: Callable[[Storage], memoryview]) -> np.ndarray:
        """A read-only view of its storage's bytes.

        Raises:
            WeightFileError: the storage is missing, of another size, or smaller than the tensor.
        """
        dtype = self.storage.dtype
        if not math.prod(self.shape):
            return np.zeros(self.shape, dtype)
        steps = [n - 1 for n in self.shape]
        last = self.offset + sum(n * s for n, s in zip(steps, self.strides, strict=True))
        if last >= self.storage.size:
            raise WeightFileError(
                f"has a tensor that reaches to element {last} of the storage "
                f"{printable(self.storage.key)} with {self.storage.size} elements; {ANEW}"
            )
        # A stride along a single element says nothing, and may be too large for numpy.
        strides = [s * dtype.itemsize if n else 0 for s, n in zip(self.strides, steps, strict=True)]
        buffer = storage_bytes(self.storage)
        return np.ndarray(self.shape, dtype, buffer, self.offset * dtype.itemsize, strides)


@dataclasses.dataclass(eq=False)
class DType:
    """numpy's type of numbers; the byte order comes by `build`."""

    code: str  # "f4"
    order: str = "="

    def build(self, state: Any) -> None:
        """Take the state that numpy pickles: a version, the byte order, and nothing of structs."""
        match state:
            case (int(), "<" | ">" | "=" | "|" as order, None, None, None, int(), int(), int()):
                self.order = order
            case _:
                raise unfit("numpy.dtype")

    @property
    def dtype(self) -> np.dtype:
        """numpy's own."""
        return np.dtype(self.order + self.code)


@dataclasses.dataclass(eq=False)
class Array:
    """A numpy array, or a number of numpy's; `build` says what is in it."""

    shape: tuple[int, ...] = ()
    dtype: DType | Unread | None = None
    fortran: bool = False
    data: str | bytes | bytearray = b""  # latin1 where it is a str

    def build(self, state: Any) -> None:
        """Take the state that numpy pickles: version, shape, type, order, bytes."""
        match state:
            case (_, _, Unread() as dtype, *_):  # strings or objects, not numbers
                self.dtype = dtype
            case (
                int(),
                tuple(shape),
                DType() as dtype,
                bool() | int() as fortran,
                str() | bytes() | bytearray() as data,
            ) if are_lengths(shape):
                self.shape, self.dtype, self.fortran, self.data = shape, dtype, bool(fortran), data
            case _:
                raise unfit("numpy.ndarray")

    @property
    def nbytes(self) -> int:
        """Bytes of the dense array."""
        return math.prod(self.shape) * self._checked_dtype().itemsize

    def array(self, _: Callable[[Storage], memoryview]) -> np.ndarray:
        """The array, in this machine's byte order and not to be written to.

        Raises:
            WeightFileError: there are more or fewer bytes than the shape needs.
        """
        dtype = self._checked_dtype()
        data = self.data
        try:
            data = data.encode("latin1") if isinstance(data, str) else bytes(data)
        except UnicodeEncodeError:
            raise unfit("numpy.ndarray") from None
        if len(data) != self.nbytes:
            raise WeightFileError(
                f"has an array of {self.shape} {dtype.name} with {len(data)} bytes; {ANEW}"
            )
        numbers = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
        return numbers.reshape(self.shape, order="F" if self.fortran else "C")

    def _checked_dtype(self) -> np.dtype:
        if isinstance(self.dtype, Unread):
            raise WeightFileError(f"has an array of {self.dtype.name} among its weights")
        if self.dtype is None:
            raise unfit("numpy.ndarray")
        return self.dtype.dtype

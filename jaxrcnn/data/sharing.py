"""Records that worker processes share: a file that each of them maps, instead of a copy each.

A file and not shared memory, which is scarce in containers.
"""

import contextlib
import dataclasses
import glob
import mmap
import os
import tempfile
import time
import weakref
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from jaxrcnn.data.columns import Records
from jaxrcnn.data.joining import Joined
from jaxrcnn.data.records import Dataset

LARGE = 2**22
"""Bytes from which on records are shared: fewer are copied in milliseconds."""

PREFIX = "jaxrcnn-records-"
ALIGNED = 64
ABANDONED = 60
"""Seconds after which a file that no process holds is removed."""


class Place(NamedTuple):
    """Where an array is in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class SharedRecords(Records):
    """Records that are pickled as the name of a file, which holds them as long as they exist."""

    file: IO[bytes]
    places: Sequence[Place]

    def __reduce__(self) -> tuple[Any, ...]:
        return _mapped, (self.file.name, self.places)


def shared(dataset: Dataset) -> Dataset:
    """The data set for worker processes; if it is large, its records are pickled as a file's name.

    The file is a temporary one, which goes with what is returned. That of a process that was killed
    is removed by the next call.
    """
    reader = dataset.reader
    if isinstance(reader, Joined):
        reader = reader._replace(datasets=tuple(map(shared, reader.datasets)))
    records = dataset.columns
    if sum(array.nbytes for array in records.arrays().values()) >= LARGE:
        with contextlib.suppress(OSError):  # without a place for a file they are copied
            records = _write(records)
    return dataclasses.replace(dataset, records=records, reader=reader)


def _write(records: Records) -> SharedRecords:
    _remove_abandoned()
    made = SharedRecords.from_arrays(records.arrays())
    file = tempfile.NamedTemporaryFile(prefix=PREFIX, delete=False)  # noqa: SIM115 (stays open)
    weakref.finalize(made, _remove, file, os.getpid())
    _hold(file.fileno())
    places = []
    for name, array in records.arrays().items():
        file.write(bytes(-file.tell() % ALIGNED))
        places.append(Place(name, array.dtype.str, array.shape, file.tell()))
        file.write(np.ascontiguousarray(array).data)
    file.flush()
    object.__setattr__(made, "file", file)
    object.__setattr__(made, "places", places)
    return made


def _remove(file: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # and not a fork of it
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(file.name)


def _mapped(path: str, places: Sequence[Place]) -> Records:
    """The records in a file; what is written to them stays in this process."""
    with open(path, "rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return Records.from_arrays(
        {
            place.name: np.frombuffer(
                pages, place.dtype, int(np.prod(place.shape)), place.offset
            ).reshape(place.shape)
            for place in places
        }
    )


def _hold(descriptor: int) -> bool:
    """Mark a file as in use by this process, until it ends; False where another one uses it."""
    try:
        import fcntl
    except ImportError:  # Windows, where a file that is open cannot be removed anyway
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned() -> None:
    """Remove the files of processes that were killed."""
    for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{PREFIX}*")):
        with contextlib.suppress(OSError):  # gone already, or another user's
            if time.time() - os.stat(path).st_mtime < ABANDONED:  # perhaps not held yet
                continue
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if _hold(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)

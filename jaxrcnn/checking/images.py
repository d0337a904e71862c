"""Every image of a data set decoded once, in processes over all cores."""

import functools
import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError, Fault
from jaxrcnn.data.images import read_orientation
from jaxrcnn.data.records import Record
from jaxrcnn.data.workers import follow_parent

CHUNK = 16
"""Images that a process is given at a time."""
FEW = 128
"""Images below which no processes are started: starting them takes longer."""

Reader = Callable[[Record], np.ndarray]


class Look(NamedTuple):
    """What decoding an image tells."""

    digest: bytes  # of its shape and pixels; b"" where it cannot be decoded
    orientation: int  # of its EXIF tag; 1 leaves it as it is stored
    fault: Fault | None = None


def decode_all(
    reader: Reader, records: Sequence[Record], cores: int, advance: Callable[[float], None]
) -> list[Look]:
    """Decode each image once; only a few are in memory at a time.

    Args:
        reader: of the data set; works in another process.
        records: of the images.
        cores: processes to start.
        advance: is told how many more images are done.
    """
    chunks = [records[start : start + CHUNK] for start in range(0, len(records), CHUNK)]
    if len(records) < FEW:
        done: list[list[Look]] = []
        for chunk in chunks:
            done.append(_decode(reader, chunk))
            advance(len(chunk))
    else:
        done = _in_processes(functools.partial(_decode, reader), chunks, cores, advance)
    return [look for looks in done for look in looks]


def _in_processes(
    decode: Callable[[Sequence[Record]], list[Look]],
    chunks: Sequence[Sequence[Record]],
    cores: int,
    advance: Callable[[float], None],
) -> list[list[Look]]:
    """The looks of all chunks; where a process dies, its images are decoded one by one."""
    done: dict[int, list[Look]] = {}
    while len(done) < len(chunks):
        left = [place for place in range(len(chunks)) if place not in done]
        failed: list[int] = []
        for place, looks in _pooled(decode, chunks, left, cores):
            if looks is None:
                failed.append(place)
            else:
                done[place] = looks
                advance(len(looks))
        for place in failed:
            done[place] = [_alone(decode, record) for record in chunks[place]]
            advance(len(done[place]))
    return [done[place] for place in range(len(chunks))]


def _pooled(
    decode: Callable[[Sequence[Record]], list[Look]],
    chunks: Sequence[Sequence[Record]],
    places: Sequence[int],
    cores: int,
) -> Iterator[tuple[int, list[Look] | None]]:
    """The looks of chunks as they are ready; None for those in work when a process dies."""
    with _pool(cores) as pool:
        waiting = iter(places)
        running: dict[Future[list[Look]], int] = {}
        while True:
            try:
                for place in waiting:
                    running[pool.submit(decode, chunks[place])] = place
                    if len(running) >= 2 * cores:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    looks = future.result()
                    yield running.pop(future), looks
            except BrokenProcessPool:
                yield from ((place, None) for place in running.values())
                return


def _alone(decode: Callable[[Sequence[Record]], list[Look]], record: Record) -> Look:
    """The look of an image in a process of its own, which it may end."""
    try:
        with _pool(1) as pool:
            return pool.submit(decode, [record]).result()[0]
    except BrokenProcessPool:
        what = "decoding it ends the process: the decoder crashes, or memory runs out"
        fault = Fault("image-damaged", record.file, f"image {record.name}", what, "replace it")
        return Look(b"", 1, fault)


def _pool(processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of XLA
    return ProcessPoolExecutor(processes, context, follow_parent)


def _decode(reader: Reader, records: Sequence[Record]) -> list[Look]:
    return [_look(reader, record) for record in records]


def _look(reader: Reader, record: Record) -> Look:
    try:
        pixels = reader(record)
        orientation = read_orientation(record.file) if record.file else 1
    except DataError as error:
        return Look(b"", 1, error.fault or Fault(error.kind, record.file, "", str(error), ""))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return Look(digest.digest(), orientation)

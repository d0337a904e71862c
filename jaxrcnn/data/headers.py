"""Headers of the image files of a large data set, kept for the next time.

Reading one takes fifty times as long as asking the system whether the file is still the same.
"""

import hashlib
import os
import struct
import time
from collections.abc import Iterable

import numpy as np

from jaxrcnn.data import cache
from jaxrcnn.data.images import Header, read_header

KIND = "headers-1"
"""Of what is kept: another number for each change of what it is, or how it is read."""

MANY = 10_000
"""Images from which on headers are kept: those of fewer are read in a second."""

RECENT = 2 * 10**9
"""Nanoseconds within which a file may change and keep its time stamp."""

_STAMP = struct.Struct("<QQqqq")  # device, file, bytes, and when content and entry last changed
_SIZE = struct.Struct("<qq?7x")  # height, width, and whether its EXIF tag exchanges them
_ROW = _STAMP.size + _SIZE.size


class Headers:
    """Reads headers of images that are known by their places in a list; for several threads."""

    def __init__(self, names: Iterable[str], number: int) -> None:
        """Find what is kept for such a list.

        Args:
            names: tell one list from another.
            number: of images in it.
        """
        self._rows = bytearray(number * _ROW)
        self._is_new = False
        self._key = ""
        if number < MANY:
            return
        digest = hashlib.blake2b(digest_size=20)
        for name in names:
            digest.update(name.encode(errors="surrogatepass") + b"\0")
        self._key = digest.hexdigest()
        kept = cache.load(KIND, self._key, lambda arrays: arrays["rows"].tobytes())
        if kept is not None and len(kept) == len(self._rows):
            self._rows[:] = kept

    def read(self, place: int, path: str, max_pixels: int) -> Header:
        """The header of an image file; see `read_header`.

        Raises:
            DataError: see `read_header`.
        """
        if not self._key:
            return read_header(path, max_pixels)
        begin, middle, end = place * _ROW, place * _ROW + _STAMP.size, (place + 1) * _ROW
        stamp, settled = _stamp(path)
        if stamp and self._rows[begin:middle] == stamp:
            height, width, sideways = _SIZE.unpack(self._rows[middle:end])
            if height * width <= max_pixels:
                return Header((height, width), sideways)
        header = read_header(path, max_pixels)
        # A file that changes after it was looked at has another stamp the next time.
        if stamp and settled:
            self._rows[begin:end] = stamp + _SIZE.pack(*header.size, header.sideways)
            self._is_new = True
        return header

    def keep(self) -> None:
        """Keep what was read."""
        if self._is_new:
            cache.store(KIND, self._key, {"rows": np.frombuffer(self._rows, np.uint8)})


def _stamp(path: str) -> tuple[bytes, bool]:
    """What changes with a file, b"" where it is not there; and whether it changed long ago."""
    try:
        info = os.stat(path)
    except OSError:
        return b"", False
    changed = max(info.st_mtime_ns, info.st_ctime_ns)
    stamp = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return _STAMP.pack(*stamp), changed < time.time_ns() - RECENT

"""Size and orientation of an ordinary JPEG file, read several times as fast as by Pillow.

Only what is beyond doubt is read here. For anything else the answer is that Pillow has to look.
"""

import struct
from typing import NamedTuple

FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of frames: baseline, extended and progressive."""

QUANTIZATION, SCAN = 0xDB, 0xDA
SKIPPED = (0xC4, 0xDD, 0xFE)
"""Huffman tables, restart intervals and comments, which say nothing of the image's size."""

KNOWN = {
    0xE0: (b"JFIF\0", 14),
    0xE2: (b"ICC_PROFILE\0", 14),
    0xEE: (b"Adobe", 12),
}
"""Of application segments, how they begin and how many bytes they have at least."""

EXIF, EXIF_BEGINS = 0xE1, b"Exif\0\0"
ORIENTATION, SHORT, RATIONAL = 0x0112, 3, 5
SINGLE = {ORIENTATION: SHORT, 0x011A: RATIONAL, 0x0128: SHORT}
"""EXIF tags that Pillow looks at, orientation and resolution: the type of their single value."""

BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
"""Bytes of one value of an EXIF tag, by its type."""

ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class Found(NamedTuple):
    """What the beginning of a JPEG file says."""

    size: tuple[int, int]  # height and width as stored, in pixels
    orientation: int | None  # of the EXIF tag


def read_jpeg_header(content: bytes) -> Found | None:
    """What the first bytes of a JPEG file say, as Pillow would; None where Pillow has to look.

    All segments up to the compressed pixels have to be among these bytes.
    """
    if content[:2] != b"\xff\xd8":
        return None
    place, size, orientation, has_exif = 2, None, None, False
    try:
        while content[place] == 0xFF:
            marker, begin = content[place + 1], place + 4
            place += 2 + int.from_bytes(content[place + 2 : begin])
            if not begin <= place <= len(content):
                return None
            if marker == SCAN:
                return Found(size, orientation) if size else None
            if marker == EXIF and not has_exif:
                has_exif, orientation = True, _orientation(content[begin:place])
            elif marker in FRAMES and not size:
                size = _size(content[begin:place])
            elif not _is_harmless(marker, content, begin, place):
                return None
    except (IndexError, ValueError, struct.error):
        pass
    return None


def _is_harmless(marker: int, content: bytes, begin: int, end: int) -> bool:
    """Whether a segment is whole and says nothing of the image's size or orientation."""
    if marker in SKIPPED:
        return True
    if marker == QUANTIZATION:  # tables of 64 bytes
        return (end - begin) % 65 == 0 and max(content[begin:end:65], default=0) < 16
    if marker in KNOWN:
        start, least = KNOWN[marker]
        return end - begin >= least and content.startswith(start, begin)
    return False


def _size(frame: bytes) -> tuple[int, int]:
    """Height and width that a frame has; ValueError where Pillow may not read it."""
    bits, height, width, layers = struct.unpack_from(">BHHB", frame)
    if bits != 8 or layers not in (1, 3, 4) or len(frame) != 6 + 3 * layers:
        raise ValueError
    if not (width and height):
        raise ValueError
    return height, width


def _orientation(segment: bytes) -> int | None:
    """The orientation in EXIF data; None without one; ValueError where Pillow has to look.

    The values of all tags have to be where they should, since Pillow warns otherwise.
    """
    order = ORDERS.get(segment[6:10])
    if not segment.startswith(EXIF_BEGINS) or order is None:
        raise ValueError
    (first,) = struct.unpack_from(order + "L", segment, 10)
    begin = 6 + first
    (number,) = struct.unpack_from(order + "H", segment, begin)
    end = begin + 2 + 12 * number
    if len(segment) < end + 4:  # where the next directory would be named
        raise ValueError
    found, total = None, 0
    for tag, kind, count, value in struct.iter_unpack(order + "HHL4s", segment[begin + 2 : end]):
        size = BYTES.get(kind, 0) * count
        if size > 4:
            (where,) = struct.unpack(order + "L", value)
            total += size
            if 6 + max(where + size, total) > len(segment):
                raise ValueError
        if not size or (tag in SINGLE and (kind, count) != (SINGLE[tag], 1)):
            raise ValueError
        if tag == ORIENTATION:
            if found is not None:
                raise ValueError
            (found,) = struct.unpack_from(order + "H", value)
    return found

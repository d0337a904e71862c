"""Text files as other programs write them."""

import codecs
import os
from collections.abc import Iterable, Iterator

from jaxrcnn.opening import open_file, read_bytes

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, with which Windows begins text files, and how such a file is decoded."""


BEGINNING = 2**16
"""Bytes at the beginning of a file that tell what it is."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says.

    Raises:
        OSError: it cannot be read, see `open_file`.
        UnicodeDecodeError: it is of another encoding.
    """
    content = read_bytes(path)
    encodings = (encoding for mark, encoding in MARKS if content.startswith(mark))
    return content.decode(next(encodings, "utf-8"))


PIECE = 2**21
"""Bytes of a large file that are read at a time."""


def read_pieces(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The bytes of a large file, in pieces.

    Raises:
        OSError: it cannot be read.
    """
    with open_file(path) as stream:
        while content := stream.read(PIECE):
            yield content


def decode_pieces(pieces: Iterable[bytes]) -> Iterator[str]:
    """A text in UTF-8 without a byte order mark that comes in pieces.

    Raises:
        UnicodeDecodeError: it is of another encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def read_ends(path: str | os.PathLike[str], first: int = BEGINNING, last: int = 2**12) -> str:
    """The beginning and the end of a text file, to tell what it is without reading all of it.

    Args:
        path: of the file, in UTF-8 or in what its byte order mark says.
        first: bytes at its beginning.
        last: bytes at its end.

    Raises:
        OSError: it cannot be read.
    """
    with open_file(path) as stream:
        content = stream.read(first)
        encodings = (encoding for mark, encoding in MARKS if content.startswith(mark))
        encoding = next(encodings, "utf-8")
        if encoding == "utf-16":
            content += stream.read()
        elif size := stream.seek(0, os.SEEK_END) - len(content):
            stream.seek(-min(size, last), os.SEEK_END)
            content += b"\n" + stream.read()
    return content.decode(encoding, "ignore")

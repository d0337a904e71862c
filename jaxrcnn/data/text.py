"""Text files as other programs write them."""

import codecs
import os

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, with which Windows begins text files, and how such a file is decoded."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is of another encoding.
    """
    with open(path, "rb") as stream:
        content = stream.read()
    encodings = (encoding for mark, encoding in MARKS if content.startswith(mark))
    return content.decode(next(encodings, "utf-8"))

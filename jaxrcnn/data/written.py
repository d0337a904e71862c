"""Values as text files write them; a file with types, such as Parquet, may hold the value itself.

Each function raises ValueError with the name of the value and what is written.
"""

import re
import reprlib
from typing import Any

from jaxrcnn.data.values import is_number, number

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf)", re.I)
"""Python's own float() also takes 1_000 and digits of other scripts."""

DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
LARGEST = 2**53
"""Whole numbers up to here are exact as floats."""


def written_number(value: Any, name: str) -> float:
    """A number, possibly infinite or NaN, from its text or as it is."""
    if isinstance(value, str) and value.isascii() and value.replace(".", "", 1).isdecimal():
        return float(value)  # as nearly all are, of which a large data set has millions
    if is_number(value):
        return number(value, name)
    text = value.strip() if isinstance(value, str) else ""
    if NUMBER.fullmatch(text):
        return float(text)
    comma = ": write a decimal point instead of the comma" if DECIMAL_COMMA.fullmatch(text) else ""
    raise ValueError(f"{name} is {reprlib.repr(value)}, not a number{comma}")


def written_whole(value: Any, name: str) -> int:
    """A whole number from its text or as it is, also where it is written as 7.0."""
    found = written_number(value, name)
    if not found.is_integer() or abs(found) > LARGEST:
        raise ValueError(f"{name} is {reprlib.repr(value)}, not a whole number")
    return int(found)


def written_side(value: Any, name: str) -> int | None:
    """A height or width in pixels; None where nothing is written, or 0 as some tools do."""
    side = 0 if is_blank(value) else written_whole(value, name)
    if side < 0:
        raise ValueError(f"{name} is {side}, which is not a valid image size")
    return side or None


def written_name(value: Any, what: str) -> str:
    """A name from its text, without blanks around; a whole number is named by its digits."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or is_blank(value):
        raise ValueError(f"{what} is {reprlib.repr(value)}, not a name")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is {reprlib.repr(value)}, which is not Unicode") from None
    return value.strip()


def is_blank(value: Any) -> bool:
    """Whether nothing is written."""
    return value is None or (isinstance(value, str) and not value.strip())

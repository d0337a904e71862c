"""Values as tools write them: converted where their meaning is certain, else named with their type.

Each function raises ValueError with the name of the value, the value itself and its type.
"""

import reprlib
from typing import Any

INT64 = range(-(2**63), 2**63)
FLAGS = {"0": False, "1": True, "false": False, "true": True}


def described(value: object) -> str:
    """A value for a message, with its type, and shortened if it is long."""
    return f"{reprlib.repr(value)} ({type(value).__name__})"


def is_number(value: object) -> bool:
    """Whether a value is an integer or a float; a bool is neither."""
    return type(value) is float or type(value) is int


def number(value: Any, name: str) -> float:
    """A float; an integer that is too large for one is infinite."""
    if not is_number(value):
        raise ValueError(f"{name} is {described(value)}, not a number")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def whole_number(value: Any, name: str) -> int:
    """An integer of 64 bits, also where it is written as a float, such as 7.0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"{name} is {described(value)}, not a whole number")
    if value not in INT64:
        raise ValueError(f"{name} is {described(value)}, beyond 64 bits")
    return value


def flag(value: Any, name: str) -> bool:
    """A yes or no from false, true, 0 or 1, also in quotes; no where there is nothing (None)."""
    if value is None:
        return False
    if isinstance(value, str):
        found = FLAGS.get(value.strip().lower())
    else:
        found = bool(value) if value in (0, 1) else None
    if found is None:
        raise ValueError(f"{name} is {described(value)}, neither 0 nor 1")
    return found


def string(value: Any, name: str) -> str:
    """A string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {described(value)}, not a name")
    return value

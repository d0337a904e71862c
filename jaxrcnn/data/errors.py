"""The error of everything that is read: images, annotations, proposals."""

from collections.abc import Iterable


class DataError(ValueError):
    """A data set cannot be read: one line with the file, the record, the fault and a remedy."""


REMEDY = "correct it, or leave such records out with data.on_error=skip"


def fault(file: str, record: str, what: str, remedy: str = REMEDY) -> DataError:
    """The error for one faulty record, on one line whatever a parser's message looked like."""
    return DataError(" ".join(f"{file}: {record}: {what}; {remedy}".split()))


def quoted(names: Iterable[str], most: int = 10) -> str:
    """Names for a message, in quotes; of many the first."""
    found = [f"'{name}'" for name in names]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)

"""The error of everything that is read: images, annotations, proposals."""

from collections.abc import Iterable


class DataError(ValueError):
    """A data set cannot be read: one line with the file, the record, the fault and a remedy."""

    exit_code = 2
    """Of a program that it ends."""


LONGEST = 500
"""Characters of what a message quotes; of longer texts it shows the ends."""

REMEDY = "correct it, or leave such records out with data.on_error=skip"


def fault(file: str, record: str, what: str, remedy: str = REMEDY) -> DataError:
    """The error for one faulty record, on one line whatever a parser's message looked like."""
    text = f"{file}: {shortened(record)}: {shortened(what)}; {shortened(remedy)}"
    return DataError(" ".join(text.split()))


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, or where it is longer than so many characters its ends."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def quoted(names: Iterable[str], most: int = 10) -> str:
    """Names for a message, on one line and in quotes; of many the first."""
    found = [f"'{shortened(' '.join(name.split()), 100)}'" for name in names]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)

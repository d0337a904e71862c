"""The error of everything that is read: images, annotations, proposals."""

from collections.abc import Iterable

from jaxrcnn.wording import one_line, shortened


class DataError(ValueError):
    """A data set cannot be read: one line with the file, the record, the fault and a remedy.

    Characters that act on a terminal are escaped.
    """

    exit_code = 2
    """Of a program that it ends."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


LONGEST_PATH = 1000
"""Characters of a path in a message: a file may name one that no file system takes."""

REMEDY = "correct it, or leave such records out with data.on_error=skip"


def fault(file: str, record: str, what: str, remedy: str = REMEDY) -> DataError:
    """The error for one faulty record, on one line whatever a parser's message looked like."""
    where = f"{shortened(file, LONGEST_PATH)}: {shortened(record)}"
    text = f"{where}: {shortened(what)}; {shortened(remedy)}"
    return DataError(" ".join(text.split()))


def quoted(names: Iterable[str], most: int = 10) -> str:
    """Names for a message, on one line and in quotes; of many the first."""
    found = [f"'{shortened(' '.join(name.split()), 100)}'" for name in names]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)

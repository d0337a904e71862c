"""The error of everything that is read: images, annotations, proposals."""

from collections.abc import Iterable
from typing import NamedTuple

from jaxrcnn.wording import one_line, shortened

INVALID = "record-invalid"
"""The kind of what has no other: a value that is missing, malformed or of another type."""

IN_TWO_SPLITS = "image-in-two-splits"
UNKNOWN_CLASS = "class-unknown"
UNREADABLE = "annotation-unreadable"
"""The kind of a file of annotations that cannot be read as a whole."""


class Fault(NamedTuple):
    """What is wrong with one record."""

    kind: str  # a stable name, listed in docs/data.md
    file: str
    record: str  # in that file
    what: str
    remedy: str
    image: str = ""  # path of the image that it is about, where one is there
    box: tuple[float, ...] = ()  # that it is about, xyxy in pixels


class Invalid(ValueError):
    """What is wrong with a record, and its kind; whoever knows the record makes a `fault` of it."""

    def __init__(self, what: str, kind: str, image: str = "") -> None:
        super().__init__(what)
        self.kind = kind
        self.image = image


class DataError(ValueError):
    """A data set cannot be read: one line with the file, the record, the fault and a remedy.

    Characters that act on a terminal are escaped.
    """

    exit_code = 2
    """Of a program that it ends."""

    def __init__(self, message: str, kind: str = INVALID, fault: Fault | None = None) -> None:
        super().__init__(one_line(message))
        self.kind = kind if fault is None else fault.kind
        self.fault = fault
        """The same by its parts, if it is about a record."""


LONGEST_PATH = 1000
"""Characters of a path in a message: a file may name one that no file system takes."""

REMEDY = "correct it, or leave such records out with data.on_error=skip"


def fault(
    file: str,
    record: str,
    what: str | ValueError,
    remedy: str = REMEDY,
    kind: str = INVALID,
    image: str = "",
    box: Iterable[float] = (),
) -> DataError:
    """The error for one faulty record, on one line whatever a parser's message looked like.

    Args:
        file: that the record is in.
        record: in that file.
        what: is wrong; an `Invalid` or a DataError also says of what kind it is.
        remedy: what to do.
        kind, image, box: see `Fault`.
    """
    kind, image = getattr(what, "kind", kind), getattr(what, "image", "") or image
    where = f"{shortened(file, LONGEST_PATH)}: {shortened(record)}"
    text = f"{where}: {shortened(str(what))}; {shortened(remedy)}"
    parts = {"file": file, "record": record, "what": str(what), "remedy": remedy}
    parts = {name: shortened(text, LONGEST_PATH) for name, text in parts.items()}
    found = Fault(kind, **parts, image=image, box=tuple(map(float, box)))
    return DataError(" ".join(text.split()), fault=found)


def quoted(names: Iterable[str], most: int = 10) -> str:
    """Names for a message, on one line and in quotes; of many the first."""
    found = [f"'{shortened(' '.join(name.split()), 100)}'" for name in names]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)

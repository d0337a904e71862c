"""The cells of a table: comma- or tab-separated text, with or without a header, or Parquet."""

import csv
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxrcnn.data.annotated import read_annotation
from jaxrcnn.data.errors import fault
from jaxrcnn.data.folders import list_folder
from jaxrcnn.data.image_names import is_image
from jaxrcnn.data.text import BEGINNING, MARKS
from jaxrcnn.data.written import is_blank, written_number
from jaxrcnn.opening import open_file

ENDINGS = (".csv", ".tsv", ".parquet")
DELIMITERS = (",", ";", "\t")
LINE = re.compile(r"[^\n]*\n|[^\n]+")
QUOTED = re.compile(r'"[^"]*"')
SETS = ("TRAIN", "TRAINING", "VALIDATION", "VALIDATE", "TEST", "UNASSIGNED", "")
"""What stands first on the lines of an AutoML table."""
AUTOML = ("image", "label", "xmin", "ymin", "-", "-", "xmax", "ymax", "-", "-")
"""The corners of a rectangle, of which two say all."""


class Cells(NamedTuple):
    """A row."""

    where: str  # "line 12"
    values: Sequence[Any]  # text; in Parquet of any type


class Sheet(NamedTuple):
    """A table; its rows may be shorter or longer than the header.

    Asking for a row that is no table raises a DataError.
    """

    file: str
    header: list[str]
    rows: Iterable[Cells]  # those of text are read as they are asked for, once
    written: bool  # the header is in the file


class Layout(NamedTuple):
    """A table that tools write without a header."""

    header: list[str]
    fits: Callable[[Sequence[str]], bool]  # the first row


def _are_numbers(cells: Sequence[str]) -> bool:
    try:
        return all(written_number(cell, "it") is not None for cell in cells)
    except ValueError:
        return False


def _is_automl(row: Sequence[str]) -> bool:
    """Whether an image, a class and two corners or none are where AutoML has them."""
    corners = [*row[2:4], *row[6:8]]
    return is_image(row[0]) and (not any(corners) or _are_numbers(corners))


LAYOUTS = (
    Layout(  # keras-retinanet
        ["image", "xmin", "ymin", "xmax", "ymax", "label"],
        lambda row: is_image(row[0]) and (not any(row[1:]) or _are_numbers(row[1:5])),
    ),
    Layout(["split", *AUTOML], lambda row: row[0].upper() in SETS and is_image(row[1])),
    Layout(["split", *AUTOML[:-2]], lambda row: row[0].upper() in SETS and _is_automl(row[1:])),
    Layout([*AUTOML], lambda row: _is_automl(row)),
    Layout(  # Make Sense
        ["label", "x", "y", "width", "height", "image", "image_width", "image_height"],
        lambda row: is_image(row[5]) and _are_numbers([*row[1:5], *row[6:]]),
    ),
)


def read_sheet(file: str) -> Sheet:
    """The cells of a table; rows without any are left out.

    Raises:
        DataError: it cannot be read, or is no table.
    """
    if file.lower().endswith(".parquet"):
        return _read_parquet(file)
    rows = _parse(read_annotation(file, "the table"), file)
    first = next(rows, None)
    if first is None:
        raise fault(file, "the table", "it is empty", "write a header and a row for each box")
    return _with_header(file, first, rows)


def peek_header(file: str) -> list[str] | None:
    """The header of a table, from the beginning of the file; None where it cannot be told."""
    try:
        if file.lower().endswith(".parquet"):
            from pyarrow import parquet

            with open_file(file) as stream:
                return list(parquet.read_schema(stream).names)
        with open_file(file) as stream:
            content = stream.read(BEGINNING)
        encodings = (encoding for mark, encoding in MARKS if content.startswith(mark))
        text = content.decode(next(encodings, "utf-8"), "replace")
        first = next(_parse(text.splitlines()[0] if text else "", file), None)
        return _with_header(file, first, ()).header if first else None
    except (OSError, ValueError, ImportError, RuntimeError):  # pyarrow's errors are of these
        return None


def _with_header(file: str, first: Cells, others: Iterable[Cells]) -> Sheet:
    """The sheet, with the header of a known layout where the first row is no header."""
    header = [cell.strip() for cell in first.values]
    for layout in LAYOUTS:
        if len(header) == len(layout.header) and layout.fits(header):
            return Sheet(file, layout.header, itertools.chain([first], others), written=False)
    return Sheet(file, header, others, written=True)


def _parse(text: str, file: str) -> Iterator[Cells]:
    """The rows that are not blank, of text with the delimiter that the first line has most of."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = QUOTED.sub("", text.lstrip().split("\n", 1)[0])
    delimiter = max(DELIMITERS, key=first.count)
    lines = (line[0] for line in LINE.finditer(text))  # io.StringIO takes four times the memory
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"it is not a table of text ({error})"
            raise fault(file, f"line {line}", what, "correct it") from error
        if not all(map(is_blank, row)):
            yield Cells(f"line {line}", row)


def _read_parquet(file: str) -> Sheet:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        what = "reading Parquet requires pyarrow"
        raise fault(file, "the table", what, "pip install 'jaxrcnn[parquet]'") from error
    try:
        with open_file(file) as stream:
            table = parquet.read_table(stream)
        columns = [column.to_pylist() for column in table.columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        what = f"cannot be read as Parquet ({error})"
        raise fault(file, "the table", what, "correct it") from error
    rows = (Cells(f"row {n}", row) for n, row in enumerate(zip(*columns, strict=True), 1))
    return Sheet(file, list(table.column_names), rows, written=True)


def find_sheets(folder: str) -> list[str]:
    """The paths of the tables in a folder, sorted."""
    return [os.path.join(folder, name) for name in list_folder(folder).ending(*ENDINGS)]

"""What the rows of a table say: images, and a box of each row that has one."""

import array
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from jaxrcnn.data.annotated import BadBox, Box, Corners
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import IN_TWO_SPLITS, fault
from jaxrcnn.data.table_columns import CORNERS, SIDES, Columns
from jaxrcnn.data.table_sheet import Cells, Sheet
from jaxrcnn.data.transforms import have_area
from jaxrcnn.data.written import is_blank, written_name, written_number, written_side
from jaxrcnn.wording import counted

OBJECT = "object"
"""The class of boxes in a table that has no column for it."""


NO_BOX = (float("nan"),) * 4
"""In the place of the box of a row that has none."""


class Row(NamedTuple):
    """What a row says."""

    where: str
    image: str
    split: str  # in small letters; "" in a table without such a column
    label: str
    corners: Corners | None  # None where the row has no box
    sides: tuple[int | None, int | None]  # height and width of the image
    fault: str = ""  # why its box cannot be understood


class Entry(NamedTuple):
    """An image, and the boxes of its rows."""

    image_id: int
    file: str
    where: str  # its first row
    name: str
    split: str
    boxes: Sequence[Box]
    faults: list[BadBox]
    sides: list[tuple[int | None, int | None]]  # height and width of the image, of each row
    in_shares: bool
    places: Sequence[str] = ()  # folders where the image may be


class Rows(Sequence[Row]):
    """The rows of a table by column: as objects, those of a large one would take gigabytes."""

    def __init__(self) -> None:
        self._where: list[str] = []
        self._texts: dict[str, str] = {}  # names of images, splits and classes, each once
        self._sides: dict[tuple[int | None, int | None], tuple[int | None, int | None]] = {}
        self._named: tuple[list[str], list[str], list[str]] = ([], [], [])
        self._sizes: list[tuple[int | None, int | None]] = []
        self._has_box = bytearray()
        self._corners = array.array("d")
        self._faults: dict[int, str] = {}

    def append(self, row: Row) -> None:
        """Add a row."""
        if row.fault:
            self._faults[len(self)] = row.fault
        self._where.append(row.where)
        for column, text in zip(self._named, (row.image, row.split, row.label), strict=True):
            column.append(self._texts.setdefault(text, text))
        self._sizes.append(self._sides.setdefault(row.sides, row.sides))
        self._has_box.append(row.corners is not None)
        self._corners.extend(row.corners or NO_BOX)

    @property
    def images(self) -> Sequence[str]:
        """The names of the images of all rows."""
        return self._named[0]

    @property
    def boxes(self) -> np.ndarray:
        """The boxes of the rows that have one, (B, 4) float64."""
        corners = np.array(self._corners).reshape(-1, 4)
        return corners[np.frombuffer(self._has_box, bool)]

    def __len__(self) -> int:
        return len(self._where)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        index = range(len(self))[place]
        image, split, label = (column[index] for column in self._named)
        x0, y0, x1, y1 = self._corners[4 * index : 4 * index + 4]
        corners = (x0, y0, x1, y1) if self._has_box[index] else None
        fault = self._faults.get(index, "")
        return Row(self._where[index], image, split, label, corners, self._sizes[index], fault)


class RowBoxes(Sequence[Box]):
    """The boxes of the rows of an image, made when they are asked for."""

    def __init__(self, rows: Rows, places: Sequence[int], number: int) -> None:
        """Take the boxes.

        Args:
            rows: of the table.
            places: of those of the image.
            number: how many of them have a box that is understood.
        """
        self._rows, self._places, self._number = rows, places, number

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, place: int) -> Box: ...
    @overload
    def __getitem__(self, place: slice) -> list[Box]: ...
    def __getitem__(self, place: int | slice) -> Box | list[Box]:
        return list(self)[place]

    def __iter__(self) -> Iterator[Box]:
        rows = (self._rows[place] for place in self._places)
        with_box = (row for row in rows if row.fault or row.corners)
        for place, row in enumerate(with_box, 1):
            if row.corners and not row.fault:
                yield Box(place, row.where, row.label, row.corners)


def read_rows(sheet: Sheet, columns: Columns, one_class: str, log: FaultLog) -> Rows:
    """What the rows say; those that name no image go to the log.

    Args:
        sheet: the table.
        columns: what its columns mean.
        one_class: the class of all boxes in a table without a column for it.
        log: takes the rows at fault.
    """
    rows = Rows()
    for cells in sheet.rows:
        try:
            rows.append(_read_row(cells, len(sheet.header), columns, one_class))
        except ValueError as error:
            log.add(fault(sheet.file, cells.where, error))
    return rows


def _read_row(cells: Cells, width: int, columns: Columns, one_class: str) -> Row:
    """What a row says; ValueError where it names no image."""
    values = list(cells.values)
    if len(values) < width or not all(map(is_blank, values[width:])):
        raise ValueError(f"it has {counted(len(values), 'cell')}, but the header has {width}")
    image = written_name(values[columns.image], "the image").replace("\\", "/")
    place = columns.split
    split = "" if place is None else written_name(values[place], "the split").lower()
    label, corners, sides, what = "", None, (None, None), ""
    try:
        sides = _side(values, columns.height, "height"), _side(values, columns.width, "width")
        corners = _corners([values[place] for place in columns.box], columns.kind)
        if corners and columns.label is None:
            label = one_class
        elif corners and columns.label is not None:
            label = written_name(values[columns.label], "the class")
    except ValueError as error:
        what = str(error)
    return Row(cells.where, image, split, label, corners, sides, what)


def _side(values: Sequence[Any], place: int | None, name: str) -> int | None:
    return None if place is None else written_side(values[place], f"the image's {name}")


def _corners(cells: Sequence[Any], kind: str) -> Corners | None:
    """The box of a row, xyxy; None where its cells are empty, ValueError where only some are."""
    if kind == "bbox":
        cells = _cells_of_bbox(cells[0])
    if all(map(is_blank, cells)):
        return None
    names = CORNERS if kind == "corners" else SIDES
    numbers = [written_number(cell, name) for cell, name in zip(cells, names, strict=True)]
    x, y, x1, y1 = numbers
    return (x, y, x1, y1) if kind == "corners" else (x, y, x + x1, y + y1)


def _cells_of_bbox(cell: Any) -> Sequence[Any]:
    """The four numbers of a cell such as "[834.0, 222.0, 56.0, 36.0]"; none where it is empty."""
    if isinstance(cell, str):
        inside = cell.strip().removeprefix("[").removesuffix("]").strip("() ")
        cell = re.split(r"\s*,\s*|\s+", inside) if inside else []
    cells = [] if cell is None else cell
    if not isinstance(cells, list) or len(cells) not in (0, 4):
        raise ValueError(f"bbox is {str(cell)[:60]}, not four numbers")
    return cells


def are_shares(rows: Rows) -> tuple[int, int]:
    """How many boxes lie within 0 and 1, and how many there are; those without area do not count.

    Boxes in pixels are not so small: where most do, the coordinates are shares of the image.
    """
    boxes = rows.boxes
    boxes = boxes[have_area(boxes)]
    within = ((boxes >= -1e-6) & (boxes <= 1 + 1e-6)).all(axis=1)
    return int(within.sum()), len(boxes)


def group_rows(file: str, rows: Rows, in_shares: bool, log: FaultLog) -> list[Entry]:
    """The images of a table, by their names; one that is in two splits goes to the log."""
    grouped: dict[str, array.array[int]] = {}
    for place, name in enumerate(rows.images):
        if name not in grouped:
            grouped[name] = array.array("l")
        grouped[name].append(place)
    entries: list[Entry] = []
    for name in sorted(grouped, key=lambda name: name.split("/")):
        entry, splits = _entry(file, rows, grouped[name], in_shares)
        if len(splits) > 1:
            what = f"the image is in the splits '{splits[0]}' and '{splits[1]}'"
            log.add(fault(file, entry.where, what, kind=IN_TWO_SPLITS), loses_image=True)
        else:
            entries.append(entry)
    return entries


def _entry(
    file: str, table: Rows, places: Sequence[int], in_shares: bool
) -> tuple[Entry, list[str]]:
    """The image of some rows, and the splits that they name."""
    rows = [table[place] for place in places]
    faults = [BadBox(row.where, row.fault) for row in rows if row.fault]
    boxes = RowBoxes(table, places, sum(bool(row.corners) and not row.fault for row in rows))
    first, sides = rows[0], [row.sides for row in rows]
    entry = Entry(0, file, first.where, first.image, first.split, boxes, faults, sides, in_shares)
    return entry, list(dict.fromkeys(row.split for row in rows))

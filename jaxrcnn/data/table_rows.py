"""What the rows of a table say: images, and a box of each row that has one."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxrcnn.data.annotated import BadBox, Box, Corners
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import IN_TWO_SPLITS, fault
from jaxrcnn.data.table_columns import CORNERS, SIDES, Columns
from jaxrcnn.data.table_sheet import Cells, Sheet
from jaxrcnn.data.written import is_blank, written_name, written_number, written_side
from jaxrcnn.wording import counted

OBJECT = "object"
"""The class of boxes in a table that has no column for it."""


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
    boxes: list[Box]
    faults: list[BadBox]
    sides: list[tuple[int | None, int | None]]  # height and width of the image, of each row
    in_shares: bool
    places: Sequence[str] = ()  # folders where the image may be


def read_rows(sheet: Sheet, columns: Columns, one_class: str, log: FaultLog) -> list[Row]:
    """What the rows say; those that name no image go to the log.

    Args:
        sheet: the table.
        columns: what its columns mean.
        one_class: the class of all boxes in a table without a column for it.
        log: takes the rows at fault.
    """
    rows: list[Row] = []
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


def are_shares(rows: Sequence[Row]) -> tuple[int, int]:
    """How many boxes lie within 0 and 1, and how many there are; those without area do not count.

    Boxes in pixels are not so small: where most do, the coordinates are shares of the image.
    """
    boxes = [row.corners for row in rows if row.corners]
    boxes = [box for box in boxes if box[2] > box[0] and box[3] > box[1]]
    within = sum(all(-1e-6 <= value <= 1 + 1e-6 for value in box) for box in boxes)
    return within, len(boxes)


def group_rows(file: str, rows: Sequence[Row], in_shares: bool, log: FaultLog) -> list[Entry]:
    """The images of a table, by their names; one that is in two splits goes to the log."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.image, []).append(row)
    entries: list[Entry] = []
    for name in sorted(grouped, key=lambda name: name.split("/")):
        entry = _entry(file, name, grouped[name], in_shares)
        splits = list(dict.fromkeys(row.split for row in grouped[name]))
        if len(splits) > 1:
            what = f"the image is in the splits '{splits[0]}' and '{splits[1]}'"
            log.add(fault(file, entry.where, what, kind=IN_TWO_SPLITS), loses_image=True)
        else:
            entries.append(entry)
    return entries


def _entry(file: str, name: str, rows: Sequence[Row], in_shares: bool) -> Entry:
    boxes: list[Box] = []
    faults = [BadBox(row.where, row.fault) for row in rows if row.fault]
    with_box = [row for row in rows if row.fault or row.corners]
    for place, row in enumerate(with_box, 1):
        if row.corners and not row.fault:
            boxes.append(Box(place, row.where, row.label, row.corners))
    sides = [row.sides for row in rows]
    return Entry(0, file, rows[0].where, name, rows[0].split, boxes, faults, sides, in_shares)

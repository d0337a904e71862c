"""Which tables of a folder hold which splits, and where their images may be."""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.folders import existing, list_folder
from jaxrcnn.data.splits import ALL, is_split
from jaxrcnn.data.table_columns import has_boxes, split_column
from jaxrcnn.data.table_sheet import find_sheets, peek_header, read_sheet
from jaxrcnn.data.written import is_blank

TABLE_FOLDERS = ("annotations", "labels")
"""Folders of the root that may hold tables, besides those named for a split."""
IMAGE_FOLDERS = ("images", "JPEGImages", "image", "imgs", "img", "data")


class Source(NamedTuple):
    """Where the rows of a split are."""

    file: str
    value: str  # of the column with the splits; "" where all rows are of the split


def find_sources(root: str, columns: Sequence[str]) -> dict[str, list[Source]]:
    """The tables of boxes in a folder, by their splits.

    A table with a column of splits is divided by it; else the split is in the name of the table
    or of its folder. Without any it is the whole set, unless other tables are named for splits.

    Args:
        root: the folder.
        columns: data.columns; where it is given, any table may be one of boxes.
    """
    found: dict[str, list[Source]] = {}
    for file in find_tables(root):
        header = peek_header(file)
        if header is None or not (columns or has_boxes(header)):
            continue
        values = _values(file, header, columns)
        for value in values:
            found.setdefault(value, []).append(Source(file, value))
        if not values:
            found.setdefault(_split_of(root, file), []).append(Source(file, ""))
    if len(found) > 1:
        found.pop(ALL, None)
    return found


def find_tables(root: str) -> list[str]:
    """The tables in the root, and in folders that are named for a split or for annotations."""
    names = list_folder(root).folders
    folders = [name for name in names if is_split(name) or name.lower() in TABLE_FOLDERS]
    places = [root, *(os.path.join(root, name) for name in folders)]
    return [file for place in places for file in find_sheets(place)]


def _values(file: str, header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The splits in the column that has them, in their order; letters of any case are the same.

    None where there is no such column, or the table cannot be read. Unless data.columns says so,
    a column has splits only where one is called as splits are.
    """
    place = split_column(header, columns, file)
    if place is None:
        return []
    values: dict[str, str] = {}
    try:
        for row in read_sheet(file).rows:
            cell = row.values[place] if place < len(row.values) else None
            if not is_blank(cell):
                values.setdefault(str(cell).strip().lower(), str(cell).strip())
    except DataError:
        return []
    given = any(pair.partition("=")[0].strip() == "split" for pair in columns)
    return list(values.values()) if given or any(map(is_split, values)) else []


def _split_of(root: str, file: str) -> str:
    """The split that the name of a table has a word for, or that of its folder."""
    folder = os.path.basename(os.path.dirname(file))
    if os.path.dirname(file) != root and is_split(folder):
        return folder
    words = re.split(r"[^A-Za-z0-9]+", os.path.splitext(os.path.basename(file))[0])
    splits = [word for word in words if is_split(word)]
    return splits[0] if len(splits) == 1 else ALL


def image_places(root: str, file: str, split: str) -> list[str]:
    """The folders that exist of those where the images of a table may be."""
    inside = ["", *IMAGE_FOLDERS]
    places = [os.path.relpath(os.path.dirname(file), root), "."]
    places += [os.path.join(split, name) for name in inside]
    places += [os.path.join(name, split) for name in IMAGE_FOLDERS]
    return existing(root, [*places, *IMAGE_FOLDERS])

"""Tables: a row a box, in CSV, TSV or Parquet, with columns under their usual names."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from jaxrcnn.data.annotated import Page, look_at_listed, make_dataset
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError, fault, quoted
from jaxrcnn.data.folders import below, list_folder, what_is_there
from jaxrcnn.data.image_files import check_size
from jaxrcnn.data.image_index import ImageIndex
from jaxrcnn.data.image_names import is_image, stem_of
from jaxrcnn.data.images import MAX_PIXELS
from jaxrcnn.data.inside import Inside
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.splits import choose_split
from jaxrcnn.data.table_columns import find_columns
from jaxrcnn.data.table_files import Source, find_sources, find_tables, image_places
from jaxrcnn.data.table_rows import OBJECT, Entry, are_shares, group_rows, read_rows
from jaxrcnn.data.table_sheet import peek_header, read_sheet
from jaxrcnn.wording import counted


def find_splits(root: str, columns: Sequence[str] = ()) -> dict[str, str]:
    """The splits of a folder with tables of boxes, each with the table that has it.

    Empty where no table has columns of boxes. A table is read to its end only where a column has
    the splits.

    Args:
        root: the folder.
        columns: data.columns; where it is given, any table may be one of boxes.
    """
    return _places(root, find_sources(root, columns))


def read_table(
    root: str,
    splits: Sequence[str],
    classes: Sequence[str] = (),
    columns: Sequence[str] = (),
    on_error: Literal["raise", "skip"] = "raise",
    max_pixels: int = MAX_PIXELS,
    image_roots: Sequence[str] = (),
) -> Dataset:
    """Open splits of a folder with tables of boxes as one data set.

    Args:
        root: the folder with the tables, and the images in it or below it.
        splits: names of the splits, in this order: of tables, of folders with a table, or in a
            column; "all" is a table that is not divided.
        classes: class names in the order of their labels; boxes of others are left out and
            counted. Empty takes those found in these splits, sorted.
        columns: what columns mean whose names are not recognised, each MEANING=COLUMN.
        on_error: what to do with a faulty image or box: stop, or leave it out and note it.
        max_pixels: height times width of the largest image that is read.
        image_roots: folders besides the root that images may be in.

    Returns:
        The data set; images are numbered from 1, those of a split in the order of their names.

    Raises:
        DataError: a table cannot be read or understood; with on_error "raise" also a faulty image
            or box.
    """
    log, notes = FaultLog(on_error), []
    sources = find_sources(root, columns)
    if not sources:
        raise _no_table(root)
    one_class = classes[0] if len(classes) == 1 else OBJECT
    tables: dict[str, list[Entry]] = {}
    entries: list[Entry] = []
    for split in splits:
        chosen = choose_split(split, _places(root, sources), root)
        source = _source(root, chosen, sources[chosen])
        if source.file not in tables:
            tables[source.file] = _read(source, columns, one_class, log, notes)
        places = image_places(root, source.file, chosen)
        entries += [
            entry._replace(places=places)
            for entry in tables[source.file]
            if source.value.lower() in ("", entry.split)
        ]
    entries = [each._replace(image_id=place) for place, each in enumerate(entries, 1)]
    index, inside = ImageIndex(root), Inside([root, *image_roots])

    def look(entry: Entry) -> Page:
        height, width = _size(entry)
        path, renamed = index.find(entry.name, entry.places)
        image = check_size(inside.check(path), height, width, max_pixels)._replace(renamed=renamed)
        where = entry.image_id, entry.file, entry.where
        return Page(*where, image, entry.boxes, entry.faults, in_shares=entry.in_shares)

    pages = look_at_listed(entries, look, log)
    found = sorted({box.name for page in pages for box in page.boxes})
    others = {source.file for each in sources.values() for source in each} - tables.keys()
    named = [entry.name for table in tables.values() for entry in table]
    notes += _unnamed(pages, [*named, *(name for file in others for name in _names(file, columns))])
    return make_dataset(root, splits, pages, found, classes, log, max_pixels, notes)


def _places(root: str, sources: Mapping[str, Sequence[Source]]) -> dict[str, str]:
    """The table of each split, relative to the root."""
    return {split: below(root, found[0].file) for split, found in sources.items()}


def _no_table(root: str) -> DataError:
    """The error of a folder without tables of boxes; says what is there."""
    headers = {file: peek_header(file) for file in find_tables(root)}
    there = [
        f"{below(root, file)} has the columns {quoted(header)}"
        for file, header in headers.items()
        if header
    ]
    what = f"no table has columns for boxes; {'; '.join(there) or what_is_there(root)}"
    return fault(root, "the data set", what, "name them with data.columns, each MEANING=COLUMN")


def _source(root: str, split: str, found: Sequence[Source]) -> Source:
    """The only table of a split; DataError where several have it."""
    if len(found) > 1:
        files = quoted(below(root, source.file) for source in found)
        raise fault(root, f"split {split}", f"{files} could each be its table", "keep one of them")
    return found[0]


def _read(
    source: Source, given: Sequence[str], one_class: str, log: FaultLog, notes: list[str]
) -> list[Entry]:
    """The images of a table, of all its splits, by their names."""
    file = source.file
    sheet = read_sheet(file)
    columns = find_columns(sheet.header, given, file)
    if not source.value:
        columns = columns._replace(split=None)
    rows = read_rows(sheet, columns, one_class, log)
    within, number = are_shares(rows)
    in_shares = columns.in_shares or within * 2 > number
    name = os.path.basename(file)
    if not sheet.written:
        notes.append(f"{name} has no header: its columns are read as {', '.join(sheet.header)}")
    if columns.label is None:
        notes.append(f"{name} has no column for classes: every box has the class '{one_class}'")
    if in_shares:
        notes.append(
            f"{name}: {within} of {number} boxes are between 0 and 1, so all coordinates are "
            "read as fractions of the width and height of the image"
        )
    return group_rows(file, rows, in_shares, log)


def _size(entry: Entry) -> tuple[int | None, int | None]:
    """Height and width of an image as its rows say; ValueError where they differ."""
    heights, widths = ({side for side in sides if side} for sides in zip(*entry.sides, strict=True))
    if len(heights) > 1 or len(widths) > 1:
        raise ValueError("the rows of this image give different sizes")
    return next(iter(heights), None), next(iter(widths), None)


def _names(file: str, given: Sequence[str]) -> list[str]:
    """The images that another table names; none where it cannot be understood."""
    try:
        sheet = read_sheet(file)
        place = find_columns(sheet.header, given, file).image
        return [str(row.values[place]) for row in sheet.rows if place < len(row.values)]
    except DataError:
        return []


def _unnamed(pages: Sequence[Page], named: Iterable[str]) -> list[str]:
    """A note of how many images no row names, in the folders of those that are named."""
    stems = {stem_of(name.strip()) for name in named}
    folders = {os.path.dirname(page.image.path) for page in pages}
    names = [name for folder in folders for name in list_folder(folder).files if is_image(name)]
    number = sum(stem_of(name) not in stems for name in names)
    return [f"{counted(number, 'image')} not named in any row left out"] if number else []

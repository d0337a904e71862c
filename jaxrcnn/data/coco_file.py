"""What is read of a file in COCO's format, as it is written: checks come after it.

A large file is parsed in pieces, since the whole of COCO's as objects takes three gigabytes, and
what is read of it is kept for the next time.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from jaxrcnn.data import cache
from jaxrcnn.data.coco_annotations import AnnotationColumns, Annotations, Entry, Rows
from jaxrcnn.data.coco_polygons import without_polygons
from jaxrcnn.data.json_pieces import parse_tables
from jaxrcnn.data.text import decode_pieces, read_pieces, read_text

TABLES = ("images", "annotations", "categories")
IMAGE_FIELDS = ("id", "file_name", "height", "width")
"""What is read of an image."""

LARGE = 2**24
"""Bytes from which on a file is parsed in pieces and kept: smaller ones take less than a second."""

OBJECTS = ("json_images", "json_categories", "json_owner_ids", "json_odd")
"""What is kept as JSON, beside the columns of annotations."""

KIND = "coco-1"
"""Of what is kept: another number for each change of what is read, or how."""


class Parsed(NamedTuple):
    """The tables of a file."""

    images: list[Entry]
    annotations: Annotations
    categories: list[Entry]


def parse_file(file: str) -> Parsed:
    """The tables of a file.

    Raises:
        OSError: it cannot be read.
        ValueError, RecursionError: it is not JSON, or a table is missing or no list of objects.
    """
    if os.stat(file).st_size < LARGE:
        return parse_whole(file)
    digest = hashlib.blake2b(digest_size=20)
    for piece in read_pieces(file):
        digest.update(piece)
    kept = cache.load(KIND, digest.hexdigest(), _from_arrays)
    if kept is not None:
        return kept
    digest = hashlib.blake2b(digest_size=20)  # once more: the file may have changed since
    try:
        parsed = parse_pieces(decode_pieces(_seen(read_pieces(file), digest.update)))
    except (ValueError, RecursionError):  # what is unusual or wrong is told by the whole
        return parse_whole(file)
    cache.store(KIND, digest.hexdigest(), _to_arrays(parsed))
    return parsed


def _seen(pieces: Iterable[bytes], see: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        see(piece)
        yield piece


def parse_whole(file: str) -> Parsed:
    """The tables of a file that is parsed at once; says what is wrong with it."""
    tables = json.loads(read_text(file))
    images, annotations, categories = (_table(tables, key) for key in TABLES)
    columns = AnnotationColumns()
    columns.add(annotations)
    return Parsed(_images(images), columns.finish(), categories)


def parse_pieces(pieces: Iterable[str]) -> Parsed:
    """The tables of a text that comes in pieces.

    Raises:
        NotInPieces, RecursionError: it is not as it should be.
    """
    images: list[Entry] = []
    categories: list[Entry] = []
    columns = AnnotationColumns()
    add: dict[str, Callable[[list[Entry]], None]] = {
        "images": lambda entries: images.extend(_images(entries)),
        "annotations": columns.add,
        "categories": categories.extend,
    }
    for key, entries in parse_tables(map(without_polygons, pieces), TABLES):
        add[key](entries)
    return Parsed(images, columns.finish(), categories)


def _table(tables: object, name: str) -> list[Entry]:
    """A table of the json file; ValueError where it is not a list of objects."""
    table = tables.get(name) if isinstance(tables, dict) else None
    if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
        raise ValueError(f"the table '{name}' is missing or is not a list of objects")
    return table


def _images(entries: Iterable[Entry]) -> list[Entry]:
    return [{key: entry[key] for key in IMAGE_FIELDS if key in entry} for entry in entries]


def _to_arrays(parsed: Parsed) -> dict[str, np.ndarray]:
    annotations = parsed.annotations
    objects = (parsed.images, parsed.categories, annotations.owner_ids, annotations.odd)
    texts = [np.frombuffer(json.dumps(each).encode(), np.uint8) for each in objects]
    return dict(zip(OBJECTS, texts, strict=True)) | annotations.rows._asdict()


def _from_arrays(arrays: dict[str, np.ndarray]) -> Parsed:
    images, categories, owner_ids, odd = (json.loads(arrays[key].tobytes()) for key in OBJECTS)
    rows = Rows(*(arrays[field] for field in Rows._fields))
    places = [(place, entry) for place, entry in odd]
    return Parsed(images, Annotations(rows, owner_ids, places), categories)

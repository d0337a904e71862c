"""The annotations of a COCO file by column; those that are written unusually stay objects."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.values import INT64

Entry = dict[str, Any]
Id = int | str

LARGEST_AREA = float(np.finfo(np.float32).max)
"""Areas are kept as float32."""

FIELDS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore")
"""What is read of an annotation: segmentations, which are most of a file, are not."""

PART = 64
"""Entries that are looked at together where some among many are written in an unusual way."""

INTEGER, NUMBER = {int}, {int, float}


class Rows(NamedTuple):
    """Some annotations, all written as COCO writes them: (A,) each."""

    places: np.ndarray  # int64, in the table, from 1
    owners: np.ndarray  # int64, numbers of the ids of their images
    categories: np.ndarray  # int64
    boxes: np.ndarray  # (A, 4) float64, x, y, width, height
    areas: np.ndarray  # float64, NaN where there is none
    crowd: np.ndarray  # bool
    ignore: np.ndarray  # bool
    named: np.ndarray  # bool, has an id of its own ...
    ids: np.ndarray  # int64 ... which this is, or else its place

    def take(self, kept: np.ndarray) -> "Rows":
        """Some of them, (A,) bool."""
        return Rows(*(column[kept] for column in self))


class Annotations(NamedTuple):
    """All annotations of a file."""

    rows: Rows
    owner_ids: list[Id]  # ids of images by their numbers
    odd: list[tuple[int, Entry]]  # places, and what is written in another way or is at fault

    @property
    def categories(self) -> list[Any]:
        """The categories that annotations name, as they are written."""
        odd = [entry.get("category_id") for _, entry in self.odd]
        return np.unique(self.rows.categories).tolist() + odd

    def repeated_ids(self) -> set[Any]:
        """The ids that more than one annotation has."""
        ids = self.rows.ids[self.rows.named]
        values, counts = np.unique(ids, return_counts=True)
        twice = set(values[counts > 1].tolist())
        if self.odd:
            keys = (entry.get("id") for _, entry in self.odd)
            odd = Counter(key for key in keys if isinstance(key, Hashable) and key is not None)
            there = set(values.tolist())
            twice |= {key for key, number in odd.items() if number > 1 or key in there}
        return twice


class AnnotationColumns:
    """Collects the annotations of a file, some at a time."""

    def __init__(self) -> None:
        self._numbers: defaultdict[Id, int] = defaultdict(count().__next__)
        self._parts = [Rows(*(np.zeros((0, *shape), kind) for kind, shape in _KINDS))]
        self._odd: list[tuple[int, Entry]] = []
        self._next = 1

    def add(self, entries: Sequence[Entry]) -> None:
        """The next entries of the table."""
        if not entries:
            return
        rows = self._rows(entries, self._next)
        if rows is not None:
            self._parts.append(rows)
            self._next += len(entries)
        elif len(entries) == 1:
            kept = {name: entries[0][name] for name in FIELDS if name in entries[0]}
            self._odd.append((self._next, kept))
            self._next += 1
        else:  # in parts, so that few are looked at one by one
            size = PART if len(entries) > PART else 1
            for start in range(0, len(entries), size):
                self.add(entries[start : start + size])

    def finish(self) -> Annotations:
        """All of them."""
        rows = Rows(*(np.concatenate(column) for column in zip(*self._parts, strict=True)))
        return Annotations(rows, list(self._numbers), self._odd)

    def _rows(self, entries: Sequence[Entry], first: int) -> Rows | None:
        """The entries as rows; None where one of them is written in an unusual way."""
        owners: list[Any] = [entry.get("image_id") for entry in entries]
        categories = [entry.get("category_id") for entry in entries]
        boxes = [entry.get("bbox") for entry in entries]
        areas = [entry.get("area") for entry in entries]
        ids = [entry.get("id") for entry in entries]
        crowd = _flags([entry.get("iscrowd") for entry in entries])
        ignore = _flags([entry.get("ignore") for entry in entries])
        if not (_are_ids(owners) and _are_integers(categories) and _are_boxes(boxes)):
            return None
        named = [key is not None for key in ids]
        known = [key for key in ids if key is not None]
        given = [area for area in areas if area is not None]
        if not (_are_integers(known) and _are_areas(given)) or crowd is None or ignore is None:
            return None
        places = np.arange(first, first + len(entries))
        has_id, has_area = np.array(named), np.array([area is not None for area in areas])
        all_ids, all_areas = places.copy(), np.full(len(entries), np.nan)
        all_ids[has_id] = known
        all_areas[has_area] = given
        return Rows(
            places,
            np.array([self._numbers[owner] for owner in owners], np.int64),
            np.array(categories, np.int64),
            np.array(boxes, np.float64),
            all_areas,
            crowd,
            ignore,
            has_id,
            all_ids,
        )


_KINDS: Sequence[tuple[Any, tuple[int, ...]]] = (
    *((np.int64, ()), (np.int64, ()), (np.int64, ()), (np.float64, (4,)), (np.float64, ())),
    *((np.bool_, ()), (np.bool_, ()), (np.bool_, ()), (np.int64, ())),
)


def _are_integers(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= INTEGER and all(
        x in INT64 for x in (min(values, default=0), max(values, default=0))
    )


def _are_ids(values: Sequence[Any]) -> bool:
    """Whether these are ids of images: integers of 64 bits, or strings that are not blank."""
    texts = [value for value in values if type(value) is str]
    others = values if not texts else [value for value in values if type(value) is not str]
    return _are_integers(others) and all(map(str.strip, texts))


def _are_boxes(values: Sequence[Any]) -> bool:
    """Whether these are lists of four numbers that float64 can hold."""
    if not set(map(type, values)) <= {list} or not set(map(len, values)) <= {4}:
        return False
    numbers = list(chain.from_iterable(values))
    return set(map(type, numbers)) <= NUMBER and all(
        type(x) is float or x in INT64 for x in numbers
    )


def _are_areas(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= NUMBER and all(0 <= x <= LARGEST_AREA for x in values)


def _flags(values: Sequence[Any]) -> np.ndarray | None:
    """Yes or no from 0, 1, false, true and nothing; None where there is something else."""
    try:
        if not set(values) <= {0, 1, None}:
            return None
    except TypeError:  # a list or an object
        return None
    return np.array(values, np.bool_)

"""The records of a data set by column: a few arrays, of which a record is a view made on access.

A hundred thousand records as objects of their own take gigabytes, and as long to copy to another
process as to read.
"""

import dataclasses
import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, overload

import numpy as np

from jaxrcnn.data.record import Record
from jaxrcnn.data.texts import Texts, ragged_places, starts_of

PER_BOX: Mapping[str, Any] = {
    "boxes": np.float32,
    "labels": np.int32,
    "ignore": np.bool_,
    "crowd": np.bool_,
    "difficult": np.bool_,
    "area": np.float32,
    "annotation_ids": np.int64,
}
"""The fields with a row for each box, and their types."""

BLOCK = 4096
"""Records that become arrays at a time, so that few of them are there at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Records(Sequence[Record]):
    """Records as arrays over all N images and B boxes; box rows of image i: starts[i]:starts[i+1].

    Indexing and iterating give `Record`s, whose arrays are views; a slice gives `Records`.
    """

    image_ids: np.ndarray  # (N,) int64
    source_ids: Texts  # of N, as text ...
    numeric: np.ndarray  # ... (N,) bool, and whether it is a number
    names: Texts
    files: Texts
    as_stored: np.ndarray  # (N,) bool
    sizes: np.ndarray  # (N, 2) int64, height and width
    starts: np.ndarray  # (N + 1,) int64
    boxes: np.ndarray  # (B, 4) float32
    labels: np.ndarray  # (B,) int32
    ignore: np.ndarray  # (B,) bool
    crowd: np.ndarray  # (B,) bool
    difficult: np.ndarray  # (B,) bool
    area: np.ndarray  # (B,) float32
    annotation_ids: np.ndarray  # (B,) int64

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Records":
        """These records by column; what is by column already stays as it is.

        Raises:
            ValueError: one is not a `Record`, or has not one value for each of its boxes.
        """
        if isinstance(records, Records):
            return records
        iterator = iter(records)
        blocks = [cls._of_block([])]
        while block := list(itertools.islice(iterator, BLOCK)):
            blocks.append(cls._of_block(block))
        return cls.concatenated(blocks)

    @classmethod
    def _of_block(cls, records: list[Record]) -> "Records":
        for record in records:
            _check(record)
        counts = [len(record.boxes) for record in records]
        return cls(
            np.array([record.image_id for record in records], np.int64),
            Texts.of(str(record.source_id) for record in records),
            np.array([not isinstance(record.source_id, str) for record in records], np.bool_),
            Texts.of(record.name for record in records),
            Texts.of(record.file for record in records),
            np.array([record.as_stored for record in records], np.bool_),
            # (n, 2), also where n is 0
            np.array([(x.height, x.width) for x in records], np.int64).reshape(-1, 2),
            starts_of(counts),
            **{
                field: np.concatenate(
                    [np.zeros((0, 4) if field == "boxes" else 0, dtype)]
                    + [getattr(record, field) for record in records]
                ).astype(dtype, copy=False)
                for field, dtype in PER_BOX.items()
            },
        )

    @classmethod
    def concatenated(cls, parts: Sequence["Records"]) -> "Records":
        """The records of several, in order."""
        columns: dict[str, Any] = {}
        for name in COLUMNS:
            values = [getattr(part, name) for part in parts]
            if name == "starts":
                columns[name] = starts_of(np.concatenate([np.diff(x) for x in values]))
            elif isinstance(values[0], Texts):
                columns[name] = Texts.concatenated(values)
            else:
                columns[name] = np.concatenate(values)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.image_ids)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> "Records": ...
    def __getitem__(self, place: int | slice) -> "Record | Records":
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        index = operator.index(place)
        index += len(self) if index < 0 else 0
        if not 0 <= index < len(self):
            raise IndexError(f"there is no record {place} of {len(self)}")
        return self._record(index)

    def __iter__(self) -> Iterator[Record]:
        return map(self._record, range(len(self)))

    def _record(self, index: int) -> Record:
        rows = slice(self.starts[index], self.starts[index + 1])
        height, width = self.sizes[index].tolist()
        source = self.source_ids[index]
        return Record(
            int(self.image_ids[index]),
            int(source) if self.numeric[index] else source,
            self.names[index],
            self.files[index],
            bool(self.as_stored[index]),
            height,
            width,
            self.boxes[rows],
            self.labels[rows],
            self.ignore[rows],
            self.crowd[rows],
            self.difficult[rows],
            self.area[rows],
            self.annotation_ids[rows],
        )

    @property
    def counts(self) -> np.ndarray:
        """Boxes of each image, (N,) int64."""
        return np.diff(self.starts)

    @property
    def owners(self) -> np.ndarray:
        """The place of the image of each box, (B,) int64."""
        return np.repeat(np.arange(len(self)), self.counts)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name; a column of texts has two, see `from_arrays`."""
        arrays: dict[str, np.ndarray] = {}
        for name in COLUMNS:
            column = getattr(self, name)
            if isinstance(column, Texts):
                arrays |= {f"{name}.content": column.content, f"{name}.starts": column.starts}
            else:
                arrays[name] = column
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The records that have these arrays."""
        columns: dict[str, Any] = {name: arrays[name] for name in COLUMNS if name in arrays}
        for name in set(COLUMNS) - set(columns):
            columns[name] = Texts(arrays[f"{name}.content"], arrays[f"{name}.starts"])
        return cls(**columns)

    def replace(self, **columns: Any) -> "Records":
        """The same records with other columns; names are given as strings."""
        if "names" in columns:
            columns["names"] = Texts.of(columns["names"])
        return Records(**{name: getattr(self, name) for name in COLUMNS} | columns)

    def take(self, places: Sequence[int] | np.ndarray) -> "Records":
        """The records at some places, in the order of these, (n,) int."""
        places = np.asarray(places, np.int64).reshape(-1)  # (n,), also where n is 0
        starts, rows = ragged_places(self.starts, places)
        columns: dict[str, Any] = {field: getattr(self, field)[rows] for field in PER_BOX}
        for field in ("source_ids", "names", "files"):
            columns[field] = getattr(self, field).take(places)
        for field in ("image_ids", "numeric", "as_stored", "sizes"):
            columns[field] = getattr(self, field)[places]
        return Records(starts=starts, **columns)

    def keep_boxes(self, kept: np.ndarray) -> "Records":
        """The records without the boxes that are not kept, (B,) bool."""
        counts = np.bincount(self.owners[kept], minlength=len(self))
        columns = {field: getattr(self, field)[kept] for field in PER_BOX}
        return self.replace(starts=starts_of(counts), **columns)


COLUMNS = tuple(field.name for field in dataclasses.fields(Records))


def _check(record: Record) -> None:
    if type(record) is not Record:
        kind = type(record).__name__
        raise ValueError(
            f"expected a Record, got {kind}: subclasses are not supported; look up further data by "
            "image_id"
        )
    for field in PER_BOX:
        if len(getattr(record, field)) != len(record.boxes):
            found = len(getattr(record, field))
            raise ValueError(f"{record.name}: {len(record.boxes)} boxes, but {found} {field}")

"""What a data set is once it is open: records with checked boxes, and the map of its classes.

Category ids and names of the source become labels 1..K here, at the door; `Dataset.category_ids`
and `Dataset.class_names` lead back at the exit.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jaxrcnn.data.columns import Records
from jaxrcnn.data.errors import REMEDY, DataError, Fault, fault
from jaxrcnn.data.fast import decoded_sizes
from jaxrcnn.data.image_files import size_mismatch
from jaxrcnn.data.images import MAX_PIXELS, read_scaled
from jaxrcnn.data.record import Record, make_record
from jaxrcnn.data.sample import Sample
from jaxrcnn.wording import counted, legible

__all__ = ["Dataset", "Record", "Transform", "make_record", "read_file"]


def read_file(record: Record, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The image of a record as its annotations see it, (H, W, 3) uint8 RGB; see `read_image`.

    Within `jaxrcnn.data.fast.decoding`, a large JPEG may have fewer pixels, see there.

    Raises:
        DataError: the file cannot be decoded, or has another size than annotated.
    """
    try:
        pixels, size = read_scaled(record.file, max_pixels, as_stored=record.as_stored)
    except DataError as error:
        what = f"the image cannot be decoded ({error.__cause__ or error})"
        raise fault(record.file, f"image {record.name}", what, kind="image-damaged") from error
    if size != (record.height, record.width):
        what = size_mismatch(size, (record.height, record.width))
        raise fault(record.file, f"image {record.name}", what, kind="image-size")
    return pixels


Transform = Callable[[Sample, Record | None, np.random.Generator | None], Sample]
"""Changes a sample, or adds to it: `transform(sample, record, rng) -> Sample`.

The record is that of the image in the data set; None where there is no image, because the place of
a batch is padded or the image could not be read: the sample is then a black one without boxes, of
which only the types and shapes of the extras are used. The generator gives the transform's draws,
by the seed, the step and the place in the batch; it is None in evaluation, where image and boxes
have to stay in place.
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """The records of one or more splits, in a fixed order, and how to read their images."""

    name: str  # the splits, joined by "+"
    records: Sequence[Record]  # kept by column, see `columns`
    class_names: tuple[str, ...]  # label k is class_names[k - 1] ...
    category_ids: tuple[int, ...] = ()  # ... and the source's category_ids[k - 1]; else 1..K
    reader: Callable[[Record], np.ndarray] = read_file  # gives (H, W, 3) uint8 RGB
    transforms: tuple[Transform, ...] = ()  # run in order on samples in original pixels
    box_room: int = 0  # boxes of an image that a batch has room for; 0: as many as any record has
    skipped: tuple[str, ...] = ()  # a line for each faulty record that was left out
    faults: tuple[Fault, ...] = ()  # what is wrong with each, and with boxes without an area
    lost_images: int = 0  # images that were left out as a whole, of the faulty records
    clipped: int = 0  # boxes that reached out of their image by up to a pixel, and were cut
    other_boxes: int = 0  # boxes of categories that data.classes does not name, left out
    empty_boxes: int = 0  # boxes without width or height, left out
    empty: int = 0  # images without objects, left out
    notes: tuple[str, ...] = ()  # what else there is to say of how the source was read
    source_classes: tuple[str, ...] = ()  # names that the source lists, also those left out

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", Records.of(self.records))
        if not self.category_ids:
            object.__setattr__(self, "category_ids", tuple(range(1, len(self.class_names) + 1)))
        if len(self.category_ids) != len(self.class_names):
            raise ValueError(
                f"{self.name}: {len(self.class_names)} class_names, but "
                f"{len(self.category_ids)} category_ids; leave them out for 1, 2, ..."
            )
        if callable(self.transforms):
            raise ValueError(f"{self.name}: transforms is a tuple; wrap a single one, (transform,)")

    def __len__(self) -> int:
        return len(self.records)

    @property
    def columns(self) -> Records:
        """The records as a few arrays over all images and boxes, for what looks at all of them."""
        assert isinstance(self.records, Records)
        return self.records

    @functools.cached_property
    def max_boxes(self) -> int:
        """Most boxes on one image, those to ignore included."""
        return int(self.columns.counts.max(initial=0))

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of every image, (n, 2) int64."""
        return self.columns.sizes

    def read_image(self, index: int) -> np.ndarray:
        """Image `index`, (H, W, 3) uint8 RGB of the record's size, or fewer as in `read_file`.

        Raises:
            DataError: see `read_file`.
        """
        return self.reader(self.records[index])

    def read_sample(self, index: int) -> Sample:
        """Image `index` with its boxes, in original pixels and without transforms.

        All its arrays are copies, so that whoever asked for it may write in them.

        Raises:
            DataError: see `read_file`, or the reader gives something else than the record says.
        """
        record, image = self.records[index], self.read_image(index)
        size = record.height, record.width
        if image.dtype != np.uint8 or image.shape not in [(*x, 3) for x in decoded_sizes(size)]:
            raise DataError(
                f"{record.name}: the reader gives {image.dtype} {image.shape}, expected "
                f"uint8 ({record.height}, {record.width}, 3), the size of the record"
            )
        truth = record.boxes.copy(), record.labels.copy(), record.ignore.copy()
        whole = image.shape[:2] == size
        return Sample(image.copy(), *truth, full_size=None if whole else size)

    def without_empty(self) -> "Dataset":
        """The same data set without the images that hold no box to train on, counted."""
        records = self.columns
        places = np.unique(records.owners[~records.ignore])
        kept = records.take(places)
        empty = self.empty + len(records) - len(kept)
        notes = self.notes if len(kept) else (*self.notes, *self._all_ignored())
        return dataclasses.replace(self, records=kept, empty=empty, notes=notes)

    def summary(self) -> str:
        """What was read and what was left out, on one line."""
        boxes, ignored = len(self.columns.boxes), int(self.columns.ignore.sum())
        parts = [
            f"{self.name}: {counted(len(self.records), 'image')}, "
            f"{counted(boxes, 'box', 'boxes')} ({ignored} to ignore), "
            f"{counted(len(self.class_names), 'class', 'classes')}"
        ]
        first = "".join(self.skipped[:1]).removesuffix(f"; {REMEDY}")
        counts = (
            (self.empty, ("image",), "without objects left out"),
            (len(self.skipped), ("faulty record",), f"left out (the first: {first})"),
            (self.clipped, ("box", "boxes"), "clipped at the border"),
            (self.other_boxes, ("box", "boxes"), "of other classes left out"),
            (self.empty_boxes, ("box", "boxes"), "without width or height left out"),
            (
                int(self.columns.as_stored.sum()),
                ("image",),
                "annotated as stored, so read without the EXIF tag",
            ),
        )
        parts += [f"{counted(count, *noun)} {what}" for count, noun, what in counts if count]
        return legible("; ".join([*parts, *self._all_ignored(), *self.notes]))

    def _all_ignored(self) -> list[str]:
        """A note where there are boxes, and not one to train on."""
        records, boxes = self.columns, len(self.columns.boxes)
        if not boxes or not records.ignore.all():
            return []
        kinds = {"crowds (iscrowd)": records.crowd.any(), "difficult": records.difficult.any()}
        names = [name for name, is_there in kinds.items() if is_there] or ["marked with ignore"]
        return [f"all {boxes} boxes are {' or '.join(names)}, and so none is trained on"]

"""What a data set is once it is open: records with checked boxes, and the map of its classes.

Category ids and names of the source become labels 1..K here, at the door; `Dataset.category_ids`
and `Dataset.class_names` lead back at the exit.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jaxrcnn.data.errors import REMEDY, DataError, fault
from jaxrcnn.data.image_files import size_mismatch
from jaxrcnn.data.images import MAX_PIXELS, read_image
from jaxrcnn.data.sample import Sample
from jaxrcnn.wording import counted, legible


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One image and what is annotated on it; boxes xyxy in pixels of the original image."""

    image_id: int  # the source's own id, or a number from 1 in order; no two images share one
    source_id: int | str  # the id in the image's own file
    name: str  # COCO's file_name, VOC's id
    file: str  # path of the image; "" where it is drawn
    as_stored: bool  # annotated on the image as stored, before its EXIF tag turns it
    height: int
    width: int
    boxes: np.ndarray  # (G, 4) float32, continuous coordinates
    labels: np.ndarray  # (G,) int32, 1..K
    ignore: np.ndarray  # (G,) bool, not to be trained on
    crowd: np.ndarray  # (G,) bool, COCO's iscrowd
    difficult: np.ndarray  # (G,) bool, VOC's difficult
    area: np.ndarray  # (G,) float32, as annotated (COCO), or of the box
    annotation_ids: np.ndarray  # (G,) int64


def read_file(record: Record, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The image of a record as its annotations see it, (H, W, 3) uint8 RGB; see `read_image`.

    Raises:
        DataError: the file cannot be decoded, or has another size than annotated.
    """
    try:
        pixels = read_image(record.file, max_pixels, as_stored=record.as_stored)
    except DataError as error:
        what = f"the image cannot be decoded ({error.__cause__ or error})"
        raise fault(record.file, f"image {record.source_id}", what) from error
    size = pixels.shape[:2]
    if size != (record.height, record.width):
        what = size_mismatch(size, (record.height, record.width))
        raise fault(record.file, f"image {record.source_id}", what)
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
    records: tuple[Record, ...]
    class_names: tuple[str, ...]  # label k is class_names[k - 1] ...
    category_ids: tuple[int, ...] = ()  # ... and the source's category_ids[k - 1]; else 1..K
    reader: Callable[[Record], np.ndarray] = read_file  # gives (H, W, 3) uint8 RGB
    transforms: tuple[Transform, ...] = ()  # run in order on samples in original pixels
    box_room: int = 0  # boxes of an image that a batch has room for; 0: as many as any record has
    skipped: tuple[str, ...] = ()  # a line for each faulty record that was left out
    clipped: int = 0  # boxes that reached out of their image by up to a pixel, and were cut
    other_boxes: int = 0  # boxes of categories that data.classes does not name, left out
    empty_boxes: int = 0  # boxes without width or height, left out
    empty: int = 0  # images without objects, left out
    notes: tuple[str, ...] = ()  # what else there is to say of how the source was read
    source_classes: tuple[str, ...] = ()  # names that the source lists, also those left out

    def __post_init__(self) -> None:
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

    @functools.cached_property
    def max_boxes(self) -> int:
        """Most boxes on one image, those to ignore included."""
        return max((len(record.boxes) for record in self.records), default=0)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Height and width of every image, (n, 2) int64."""
        sizes = [(record.height, record.width) for record in self.records]
        return np.array(sizes, np.int64).reshape(-1, 2)  # (n, 2), also where n is 0

    def read_image(self, index: int) -> np.ndarray:
        """Image `index`, (H, W, 3) uint8 RGB of the record's size.

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
        if image.dtype != np.uint8 or image.shape != (record.height, record.width, 3):
            raise DataError(
                f"{record.name}: the reader gives {image.dtype} {image.shape}, expected "
                f"uint8 ({record.height}, {record.width}, 3), the size of the record"
            )
        return Sample(image.copy(), record.boxes.copy(), record.labels.copy(), record.ignore.copy())

    def without_empty(self) -> "Dataset":
        """The same data set without the images that hold no box to train on, counted."""
        kept = tuple(record for record in self.records if not record.ignore.all())
        empty = self.empty + len(self.records) - len(kept)
        notes = self.notes if kept else (*self.notes, *self._all_ignored())
        return dataclasses.replace(self, records=kept, empty=empty, notes=notes)

    def summary(self) -> str:
        """What was read and what was left out, on one line."""
        boxes = sum(len(record.boxes) for record in self.records)
        ignored = sum(int(record.ignore.sum()) for record in self.records)
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
                sum(record.as_stored for record in self.records),
                ("image",),
                "annotated as stored, so read without the EXIF tag",
            ),
        )
        parts += [f"{counted(count, *noun)} {what}" for count, noun, what in counts if count]
        return legible("; ".join([*parts, *self._all_ignored(), *self.notes]))

    def _all_ignored(self) -> list[str]:
        """A note where there are boxes, and not one to train on."""
        boxes = sum(len(record.boxes) for record in self.records)
        if not boxes or not all(record.ignore.all() for record in self.records):
            return []
        kinds = {
            "crowds (iscrowd)": any(record.crowd.any() for record in self.records),
            "difficult": any(record.difficult.any() for record in self.records),
        }
        names = [name for name, is_there in kinds.items() if is_there] or ["marked with ignore"]
        return [f"all {boxes} boxes are {' or '.join(names)}, and so none is trained on"]


def make_record(
    image_id: int,
    name: str,
    file: str,
    size: tuple[int, int],
    boxes: np.ndarray,
    labels: Sequence[int],
    annotation_ids: Sequence[int] | None = None,
    *,
    source_id: int | str | None = None,
    crowd: Sequence[bool] | None = None,
    difficult: Sequence[bool] | None = None,
    ignore: Sequence[bool] | None = None,
    area: Sequence[float] | None = None,
    keep_difficult: bool = False,
    as_stored: bool = False,
) -> Record:
    """A record from plain sequences; no marks, the box's area and the image's id by default.

    Crowds, boxes marked as ignored and, unless they are kept, difficult ones are not trained on.

    Args:
        image_id: no two images of a data set share one.
        name: what the image is called in errors and results.
        file: path of the image; "" where `Dataset.reader` needs none.
        size: height and width in pixels.
        boxes: (G, 4) xyxy in pixels of the image, continuous coordinates.
        labels: (G,) 1..K.
        annotation_ids: (G,); 1..G by default.
        source_id, crowd, difficult, ignore, area: as in `Record`, each (G,) but the first.
        keep_difficult: train on difficult boxes too.
        as_stored: as in `Record`.

    Raises:
        ValueError: something else than one value for each box is given.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)  # (G, 4), also where G is 0
    if annotation_ids is None:
        annotation_ids = range(1, len(boxes) + 1)
    rows = {
        "labels": labels,
        "annotation_ids": annotation_ids,
        "crowd": crowd,
        "difficult": difficult,
        "ignore": ignore,
        "area": area,
    }
    for field, values in rows.items():
        if values is not None and len(values) != len(boxes):
            raise ValueError(f"{name}: {len(boxes)} boxes, but {len(values)} {field}")
    none = np.zeros(len(boxes), bool)
    crowds, difficults, ignored = (
        none if marks is None else np.array(marks, bool) for marks in (crowd, difficult, ignore)
    )
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) if area is None else area
    return Record(
        image_id=image_id,
        source_id=image_id if source_id is None else source_id,
        name=name,
        file=file,
        as_stored=as_stored,
        height=size[0],
        width=size[1],
        boxes=boxes,
        labels=np.array(labels, np.int32),
        ignore=ignored | crowds if keep_difficult else ignored | crowds | difficults,
        crowd=crowds,
        difficult=difficults,
        area=np.array(areas, np.float32),
        annotation_ids=np.array(annotation_ids, np.int64),
    )

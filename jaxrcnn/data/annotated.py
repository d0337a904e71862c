"""Images with named boxes, as any file describes them, and the data set that they make."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from jaxrcnn.data.checked import BadBox, Boxed, Corners, make_records
from jaxrcnn.data.checks import NORMALISED, FaultLog, are_normalised
from jaxrcnn.data.coco_categories import FILLER
from jaxrcnn.data.errors import fault, quoted
from jaxrcnn.data.folders import below
from jaxrcnn.data.image_files import ImageFile, look_at
from jaxrcnn.data.records import Dataset, Record, read_file
from jaxrcnn.data.text import read_text
from jaxrcnn.wording import counted


class Box(NamedTuple):
    """What is annotated once."""

    place: int  # among those of its image, from 1
    where: str  # it is written, for errors: "line 3"
    name: str  # of its class
    corners: Corners  # in pixels, or in shares of the image


class Page(NamedTuple):
    """An image, looked at, and what is annotated on it."""

    image_id: int
    file: str  # that names the image, for errors
    where: str  # in that file, or which image of that folder
    image: ImageFile
    boxes: Sequence[Box]
    faults: Sequence[BadBox]
    boxes_file: str = ""  # that holds the boxes; "" for the same file
    in_shares: bool = False  # coordinates are shares of the width and the height


class Listed(Protocol):
    """An image that is to be looked at, and where it is named."""

    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def where(self) -> str: ...  # noqa: D102


Item = TypeVar("Item", bound=Listed)
Found = TypeVar("Found")


def read_annotation(file: str, record: str) -> str:
    """The text of a file; see `read_text`.

    Raises:
        DataError: it cannot be read, or is of another encoding.
    """
    try:
        return read_text(file)
    except OSError as error:
        raise fault(
            file, record, f"cannot be read ({error.strerror})", "check data.root"
        ) from error
    except UnicodeDecodeError as error:
        raise fault(file, record, not_text(error), "save it as UTF-8") from error


def not_text(error: UnicodeDecodeError) -> str:
    """What to say of a file that is of another encoding."""
    return f"it is not {error.encoding.upper()} text (byte {error.start})"


def lines_of(text: str) -> list[str]:
    """The lines of a text, without blanks around; they end as on any system."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip() for line in text.split("\n")]


def look_at_listed(
    listed: Sequence[Item], look: Callable[[Item], Found], log: FaultLog
) -> list[Found]:
    """What threads find out about images; where `look` raises ValueError, it goes to the log."""
    kept: list[Found] = []
    for item, found in zip(listed, look_at(listed, look), strict=True):
        if isinstance(found, ValueError):
            log.add(fault(item.file, item.where, found), loses_image=True)
        else:
            kept.append(found)
    return kept


def make_dataset(
    root: str,
    splits: Sequence[str],
    pages: Sequence[Page],
    listed: Iterable[str],
    classes: Sequence[str],
    log: FaultLog,
    max_pixels: int,
    notes: Iterable[str] = (),
) -> Dataset:
    """The data set of some images.

    Args:
        root: folder of the data set; names of images are their paths below it.
        splits: names of its splits.
        pages: the images, in order.
        listed: the names of the source's classes, in order.
        classes: those to take, in the order of their labels; empty takes all. Boxes of others are
            left out and counted.
        log: takes boxes at fault, and images that are there twice.
        max_pixels: see data.max_pixels.
        notes: what else there is to say.
    """
    source_classes = tuple(listed)
    names = tuple(classes) or source_classes
    labels = {name: label for label, name in enumerate(names, 1)}
    counts: Counter[str] = Counter()
    pages = _without_repeated(pages, log)
    records, _ = make_records(_boxed(root, pages, labels, counts), log, counts)
    return Dataset(
        name="+".join(splits),
        records=records,
        class_names=names,
        reader=functools.partial(read_file, max_pixels=max_pixels),
        skipped=tuple(log.lines),
        faults=tuple(log.faults),
        lost_images=log.lost_images,
        clipped=counts["cut"],
        other_boxes=counts["other"],
        empty_boxes=counts["empty"],
        notes=(*notes, *_absent(classes, source_classes), *_notes(pages, records)),
        source_classes=source_classes,
    )


def _without_repeated(pages: Sequence[Page], log: FaultLog) -> list[Page]:
    """The images, each once; what names one again goes to the log."""
    kept: dict[str, Page] = {}
    for page in pages:
        path = os.path.abspath(page.image.path)
        if path in kept:
            first = kept[path]
            what = f"the image {path} is listed twice, first in {first.file}: {first.where}"
            log.add(fault(page.file, page.where, what, kind="image-listed-twice", image=path))
        else:
            kept[path] = page
    return list(kept.values())


def _absent(classes: Sequence[str], listed: Sequence[str]) -> list[str]:
    """A note where the source lists no such class."""
    absent = [name for name in classes if name not in listed and not FILLER.fullmatch(name)]
    if not absent:
        return []
    there = f" (the classes are {quoted(listed)})" if listed else ""
    return [f"no class is named {quoted(absent)}{there}"]


def _notes(pages: Sequence[Page], records: Sequence[Record]) -> list[str]:
    """What a person should know of how the images and boxes were read."""
    notes = []
    renamed = sum(page.image.renamed for page in pages)
    if renamed:
        notes.append(f"{counted(renamed, 'image')} found by file name alone, in another folder")
    in_pixels = zip(pages, records, strict=True)
    if are_normalised(record.boxes for page, record in in_pixels if not page.in_shares):
        notes.append(NORMALISED)
    return notes


def _boxed(
    root: str, pages: Iterable[Page], labels: dict[str, int], counts: Counter[str]
) -> Iterator[Boxed]:
    """The images with their boxes of some classes; those of others are counted.

    Annotation ids count from 1 along the boxes of all images.
    """
    for page in pages:
        first_id = counts["boxes"] + 1
        counts["boxes"] += len(page.boxes) + len(page.faults)
        boxes = [box for box in page.boxes if box.name in labels]
        counts["other"] += len(page.boxes) - len(boxes)
        height, width = page.image.size if page.in_shares else (1, 1)
        yield Boxed(
            page.image_id,
            below(root, page.image.path),
            page.image,
            page.boxes_file or page.file,
            page.faults,
            [
                (x0 * width, y0 * height, x1 * width, y1 * height)
                for _, _, _, (x0, y0, x1, y1) in boxes
            ],
            [labels[box.name] for box in boxes],
            [first_id + box.place - 1 for box in boxes],
            [False] * len(boxes),
            functools.partial(_describe, boxes),
        )


def _describe(boxes: Sequence[Box], place: int) -> tuple[str, str]:
    return boxes[place].where, f"'{boxes[place].name}': "

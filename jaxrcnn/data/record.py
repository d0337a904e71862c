"""One image of a data set and what is annotated on it."""

import dataclasses
from collections.abc import Sequence

import numpy as np


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

"""Detections from a file in COCO's results format, whichever detector wrote it.

What is said otherwise than in the format is read if there is one reading, and a note says how it
was read; else it is an error of one line.
"""

import math
import numbers
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.results_names import find_images, find_labels
from jaxrcnn.opening import read_json
from jaxrcnn.wording import counted, shortened

KEYS: tuple[str, ...] = ("image_id", "category_id", "bbox", "score")
FORMAT = "a list of {image_id, category_id, bbox: [x, y, width, height], score}"
INNER = ("annotations", "detections", "predictions", "results")
"""Names that a list of detections has inside of an object."""

OUTSIDE = 0.01
"""A box may reach out of its image by this share of the image's side."""
MANY = 0.2
"""Share of boxes outside of their images from which corners are thought of."""


class Results(NamedTuple):
    """The detections of a file on a data set."""

    rows: list[dict[str, Any]]  # COCO's results, with the ids of the data set
    detections: dict[int, ImageDetections]  # the same, by the image's place in the data set
    notes: tuple[str, ...]  # how the file was read, where it is not as COCO's


def read_results(path: pathlib.Path, dataset: Dataset) -> Results:
    """Read a file of detections on the images of a data set.

    Images are named by file_name, by their ids in the annotations, or by a file name in image_id.
    Classes are named by category_name, by category id, by a name in category_id, or numbered
    without gaps, from 0 or 1, where these numbers cannot be category ids. Names come first, since
    ids may be those of another file.

    Raises:
        DataError: the file cannot be read, is not in the format, or names other images or classes.
    """
    rows = _read_rows(path)
    boxes, scores = _read_numbers(path, rows)
    images, of_images = find_images(path, rows, dataset)
    labels, of_labels = find_labels(path, rows, dataset)
    _check_boxes(path, boxes, dataset.sizes[images])
    image_ids = dataset.columns.image_ids[images].tolist()
    category_ids = np.array(dataset.category_ids or [0])[labels - 1].tolist()
    columns = image_ids, category_ids, boxes.tolist(), scores.tolist()
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    fields = corners.astype(np.float32), scores.astype(np.float32), labels.astype(np.int32)
    rows = [dict(zip(KEYS, row, strict=True)) for row in zip(*columns, strict=True)]
    return Results(rows, _by_image(images, *fields), (*of_images, *of_labels))


def _by_image(images: np.ndarray, *fields: np.ndarray) -> dict[int, ImageDetections]:
    order = np.argsort(images, kind="stable")
    places, starts = np.unique(images[order], return_index=True)
    parts = zip(*(np.split(values[order], starts[1:]) for values in fields), strict=True)
    return {int(place): ImageDetections(*part) for place, part in zip(places, parts, strict=False)}


def _read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """The detections of a file; the keys of each are those of COCO's results."""
    try:
        content = read_json(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
    if isinstance(content, dict):
        inner = [name for name in INNER if isinstance(content.get(name), list)]
        if not inner:
            raise DataError(
                f"{path}: is an object with {quoted(map(str, content))}, expected {FORMAT}"
            )
        content = content[inner[0]]
    if not isinstance(content, list):
        raise DataError(f"{path}: is a {type(content).__name__}, expected {FORMAT}")
    for number, row in enumerate(content):
        if not isinstance(row, dict):
            raise _fault(path, number, f"{shortened(repr(row))} is not an object", FORMAT)
        if missing := [key for key in KEYS if key not in row]:
            truth = "the file seems to be the ground truth"
            hint = truth if "iscrowd" in row else f"expected {FORMAT}"
            raise _fault(path, number, f"has no {' and no '.join(missing)}", hint)
    return content


def _fault(path: pathlib.Path, number: int, what: str, hint: str = "") -> DataError:
    return DataError(f"{path}: detection {number}: {what}" + (f"; {hint}" if hint else ""))


def _read_numbers(
    path: pathlib.Path, rows: Sequence[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (D, 4) and scores (D,), float64."""
    for number, row in enumerate(rows):
        box, of = row["bbox"], f"of image {shortened(repr(row['image_id']))}"
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            raise _fault(path, number, f"{of}: bbox {shortened(repr(box))} is not four numbers")
        if box[2] < 0 or box[3] < 0:
            hint = "COCO's boxes are x, y, width, height"
            raise _fault(path, number, f"{of}: bbox {box} has a negative side", hint)
        if not _is_number(row["score"]):
            raise _fault(
                path, number, f"{of}: score {shortened(repr(row['score']))} is not a finite number"
            )
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    return boxes, np.array([row["score"] for row in rows], np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _check_boxes(path: pathlib.Path, boxes: np.ndarray, sizes: np.ndarray) -> None:
    """See that boxes are x, y, width, height in pixels.

    Args:
        path: of the file.
        boxes: (D, 4).
        sizes: (D, 2) height and width of each detection's image.

    Raises:
        DataError: they are rather corners, or shares of the image's sides.
    """
    if not len(boxes):
        return
    if boxes.max() <= 1 + OUTSIDE and sizes.min() > 4:
        raise DataError(
            f"{path}: all boxes lie between 0 and 1; multiply them by the image's width and height "
            "to get pixels"
        )

    def inside(ends: np.ndarray) -> np.ndarray:
        return np.all(ends <= sizes[:, ::-1] * (1 + OUTSIDE), axis=1)

    outside = ~inside(boxes[:, :2] + boxes[:, 2:])
    as_corners = np.all(boxes[:, 2:] >= boxes[:, :2], axis=1) & inside(boxes[:, 2:])
    if outside.mean() > MANY and as_corners.mean() > 1 - OUTSIDE:
        share = f"{outside.sum()} of {counted(len(boxes), 'box', 'boxes')}"
        raise DataError(
            f"{path}: read as x, y, width, height, {share} extend beyond their images, but "
            "as corners x0, y0, x1, y1 they fit; write bbox as [x0, y0, x1 - x0, y1 - y0]"
        )

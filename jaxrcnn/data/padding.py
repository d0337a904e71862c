"""Samples of many sizes become the arrays of one batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size
from jaxrcnn.types import Batch, Proposals

Fields = dict[str, Any]
"""The fields of a Batch by name, in numpy arrays, without the images; of one image or of all."""


class Room(NamedTuple):
    """What a batch has room for in each image."""

    boxes: int
    proposals: int | None  # None where no proposals are given


def pad_sample(
    sample: Sample, extra: dict[str, np.ndarray], index: int, place: np.ndarray, room: Room
) -> Fields:
    """The fields of a batch for one image, but its pixels, which go to the upper left of `place`.

    Args:
        sample: that fits into the place, see `check_room`.
        extra: of `pad_extras`.
        index: of its image in the data set.
        place: (H, W, 3), black.
        room: of the batch.
    """
    number = len(sample.boxes)
    height, width = sample.image.shape[:2]
    place[:height, :width] = sample.image
    row = empty_row(index, place, room)
    row["image_sizes"] = np.array((height, width), np.int32)
    row["image_weights"] = np.array(1.0, np.float32)
    row["boxes"][:number] = sample.boxes
    row["labels"][:number] = sample.labels
    row["box_valid"][:number] = ~sample.ignore
    row["box_ignore"][:number] = sample.ignore
    row["box_weights"][:number] = ~sample.ignore
    row["extra"] = extra
    if sample.proposals is not None:
        boxes, scores = sample.proposals
        row["proposals"]["boxes"][: len(scores)] = boxes
        row["proposals"]["scores"][: len(scores)] = scores
        row["proposals"]["valid"][: len(scores)] = True
    return row


def empty_row(index: int, place: np.ndarray, room: Room) -> Fields:
    """The fields for an image of weight 0 that is as large as its place, without boxes or extras.

    Arguments are those of `pad_sample`.
    """
    row: Fields = {
        "image_sizes": np.array(place.shape[:2], np.int32),
        "image_index": np.array(index, np.int32),
        "image_weights": np.array(0.0, np.float32),
        "boxes": np.zeros((room.boxes, 4), np.float32),
        "labels": np.zeros(room.boxes, np.int32),
        "box_valid": np.zeros(room.boxes, bool),
        "box_ignore": np.zeros(room.boxes, bool),
        "box_weights": np.zeros(room.boxes, np.float32),
        "extra": {},
    }
    if room.proposals is not None:
        row["proposals"] = {
            "boxes": np.zeros((room.proposals, 4), np.float32),
            "scores": np.full(room.proposals, -np.inf, np.float32),
            "valid": np.zeros(room.proposals, bool),
        }
    return row


def check_room(sample: Sample, room: Room, name: str) -> None:
    """See that the boxes and proposals of image `name` fit into the batch.

    Raises:
        ValueError: there are too many.
    """
    number = len(sample.boxes)
    if number > room.boxes:
        raise ValueError(
            f"image {name} has {number} boxes after its transforms, but the batch has room for "
            f"{room.boxes}; set the data set's box_room to at least {number}"
        )
    number = 0 if sample.proposals is None else len(sample.proposals.scores)
    if room.proposals is not None and number > room.proposals:
        raise ValueError(
            f"image {name} has {number} proposals after its transforms, but the batch has room for "
            f"{room.proposals}; keep the best, or change model.proposals.post_nms_train"
        )


def pad_extras(
    maps: dict[str, np.ndarray], rows: dict[str, np.ndarray], canvas: Size, room: Room
) -> dict[str, np.ndarray]:
    """Maps as large as the canvas, and a row for each box that there is room for; zeros behind."""
    padded = {name: _padded(array, canvas) for name, array in maps.items()}
    return padded | {name: _padded(array, (room.boxes,)) for name, array in rows.items()}


def _padded(array: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """The array with zeros behind it along its first axes."""
    padded = np.zeros((*sides, *array.shape[len(sides) :]), array.dtype)
    padded[tuple(slice(side) for side in array.shape[: len(sides)])] = array
    return padded


def stack(rows: Sequence[Fields], images: np.ndarray, names: Sequence[str]) -> Batch:
    """The batch of images (N, H, W, 3) and of a row for each of them.

    Args:
        rows: of `pad_sample` and `empty_row`.
        images: their places.
        names: of the images, for errors.

    Raises:
        ValueError: the images have other extras, or extras of other shapes or types.
    """
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    extras, proposals = columns.pop("extra"), columns.pop("proposals", None)
    _check_extras(extras, names)
    fields: Fields = {name: np.stack(column) for name, column in columns.items()}
    if proposals is not None:
        fields["proposals"] = Proposals(**_stack_each(proposals))
    fields |= {"images": images, "extra": _stack_each(extras) or None}
    return Batch(**fields)


def _stack_each(rows: Sequence[Fields]) -> Fields:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _check_extras(extras: Sequence[dict[str, np.ndarray]], names: Sequence[str]) -> None:
    """See that every image has what the first one has."""
    first = extras[0]
    for extra, name in zip(extras, names, strict=True):
        for one in sorted(first.keys() ^ extra.keys()):
            has, lacks = (names[0], name) if one in first else (name, names[0])
            raise ValueError(
                f"extra '{one}': image {has} has it, image {lacks} does not; transforms have to "
                "give it to every image, and also where the record is None"
            )
        for one, array in extra.items():
            if (array.shape, array.dtype) != (first[one].shape, first[one].dtype):
                raise ValueError(
                    f"extra '{one}': {first[one].dtype} {first[one].shape} for image {names[0]}, "
                    f"but {array.dtype} {array.shape} for image {name}; all images of a batch "
                    "need the same shape, unless it is a map (height, width, ...) of its image"
                )

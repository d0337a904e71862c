"""What a transform gives back is checked, since an error there would show far from its cause."""

from typing import Any

import numpy as np

from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.data.sample import Sample


def run_transforms(
    dataset: Dataset, sample: Sample, record: Record | None, rng: np.random.Generator | None
) -> Sample:
    """The sample after the data set's transforms; arguments as those of a `Transform`.

    Raises:
        ValueError: a transform gives back what cannot become part of a batch, or, in evaluation,
            changes the shape of the image or its boxes.
    """
    for transform in dataset.transforms:
        maps, given = sample.maps, sample.proposals is not None
        sample = transform(sample, record, rng)
        what = _problem(sample, len(dataset.class_names), maps, given)
        if what is None and rng is None and record is not None:
            what = _moved(sample, record)
        if what is not None:
            name = getattr(transform, "__name__", type(transform).__name__)
            image = "no image (record None)" if record is None else f"image {record.name}"
            raise ValueError(f"transform {name}, {image}: {what}")
    return sample


def _problem(sample: Any, num_classes: int, maps: set[str], given: bool) -> str | None:
    """What is wrong with a sample, if anything.

    Args:
        sample: what a transform returned.
        num_classes: K.
        maps: the extras that were maps before.
        given: whether there were proposals.
    """
    if not isinstance(sample, Sample):
        kind = type(sample).__name__
        return f"it returned {kind}, expected a Sample; dataclasses.replace(sample, ...) makes one"
    return (
        _wrong_array(sample)
        or _wrong_values(sample, num_classes)
        or _wrong_extras(sample, maps)
        or _wrong_proposals(sample, given)
    )


def _wrong_array(sample: Sample) -> str | None:
    fields = {
        "image": ("u", "uint8 (h, w, 3)"),
        "boxes": ("fiu", "float32 (g, 4)"),
        "labels": ("iu", "int32 (g,)"),
        "ignore": ("b", "bool (g,)"),
    }
    for name, (kinds, wanted) in fields.items():
        array = getattr(sample, name)
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else _kind(array)
        right = isinstance(array, np.ndarray) and array.dtype.kind in kinds
        if name == "image":
            right = right and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
            right = right and array.size > 0
        else:
            right = right and array.shape[1:] == ((4,) if name == "boxes" else ())
            right = right and array.ndim > 0
        if not right:
            return f"{name} is {got}, expected {wanted}"
    rows = {"labels": sample.labels, "ignore": sample.ignore}
    rows |= {f"box_extra['{name}']": array for name, array in sample.box_extra.items()}
    for name, array in rows.items():
        if np.ndim(array) == 0 or len(array) != len(sample.boxes):
            number = len(array) if np.ndim(array) else 0
            return (
                f"{len(sample.boxes)} boxes, but {name} has {number} rows; keep_boxes drops boxes "
                "with their rows, and whoever adds boxes adds to all of them"
            )
    return None


def _wrong_values(sample: Sample, num_classes: int) -> str | None:
    if not np.isfinite(sample.boxes).all():
        return "a box has a coordinate that is not finite"
    outside = sample.labels[(sample.labels < 1) | (sample.labels > num_classes)]
    if outside.size:
        return f"label {outside[0]}, expected 1 to {num_classes}"
    size = sample.final_size
    whole = isinstance(size, tuple) and len(size) == 2 and all(isinstance(x, int) for x in size)
    if size is not None and not (whole and min(size) >= 1):
        return f"final_size is {size!r}, expected (height, width) in whole pixels, or None"
    return None


def _wrong_extras(sample: Sample, maps: set[str]) -> str | None:
    both = sorted(sample.extra.keys() & sample.box_extra.keys())
    if both:
        return f"'{both[0]}' is in extra and in box_extra; the names have to differ"
    for name, array in {**sample.extra, **sample.box_extra}.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind in "OUSMm":
            kind = array.dtype.name if isinstance(array, np.ndarray) else _kind(array)
            return f"extra '{name}' is {kind}, expected an array of numbers or bool"
    for name in sorted(maps & sample.extra.keys() - sample.maps):
        height, width = sample.image.shape[:2]
        return (
            f"extra '{name}' was a map of the image and has shape {sample.extra[name].shape}, but "
            f"the image is now ({height}, {width}); change both alike"
        )
    return None


def _wrong_proposals(sample: Sample, given: bool) -> str | None:
    if (sample.proposals is not None) != given:
        what = "dropped the given proposals" if given else "added proposals, but none are given"
        return f"it {what}; they come from data.train_proposals and data.eval_proposals"
    return None


def _moved(sample: Sample, record: Record) -> str | None:
    """What is no longer in its place in an evaluation, if anything."""
    if sample.image.shape[:2] != (record.height, record.width):
        what = "the shape of the image"
    elif not np.array_equal(sample.boxes, record.boxes):
        what = "the boxes"
    elif sample.final_size is not None:
        what = "the size that the image is resized to"
    else:
        return None
    return (
        f"it changed {what} in evaluation, where detections are compared with the original "
        "image; leave both as they are where the generator is None"
    )


def _kind(value: Any) -> str:
    return type(value).__name__

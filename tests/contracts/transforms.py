"""Transforms of a data set."""

import dataclasses
import pickle
from typing import Any

import numpy as np

from jaxrcnn.data import Dataset, Record, Sample, Transform, make_record
from jaxrcnn.data.sample import empty_sample
from jaxrcnn.data.sample_checks import run_transforms

SIZES = ((48, 64), (40, 30), (33, 33))
BOXES = ([[4, 4, 30, 30], [20, 10, 60, 40], [0, 0, 64, 48]], [[1, 2, 20, 39]], [])
DRAWS = 20
"""Generators that each image is transformed with."""


def check_transform(transform: Transform, dataset: Dataset | None = None) -> None:
    """Check a transform: samples it returns, boxes, extras, draws, evaluation, pickling.

    Args:
        transform: as `jaxrcnn.data.Transform` describes it.
        dataset: with its records, where it looks at them; by default of three images in noise.
    """
    data = _dataset() if dataset is None else dataset
    data = dataclasses.replace(data, transforms=(transform,))
    images = range(min(len(data), 3))
    for index in images:
        for seed in range(DRAWS):
            one, other = (_run(data, index, np.random.default_rng(seed)) for _ in range(2))
            _check_boxes(one)
            assert _same(one, other), "the same generator, sample and record give the same result"
        _run(data, index, None)
    padded = [_run(data, None, rng) for rng in (np.random.default_rng(0), None)]
    whole = _run(data, 0, np.random.default_rng(0))
    _check_extras([_run(data, index, np.random.default_rng(1)) for index in images], whole)
    _check_extras([*padded, _run(data, 0, None)], whole)
    try:
        pickle.dumps(transform)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError("it can be pickled: data.workers sends it to processes") from error


def _dataset() -> Dataset:
    records = [
        make_record(i, str(i), "", size, np.array(boxes), [1 + j % 3 for j in range(len(boxes))])
        for i, (size, boxes) in enumerate(zip(SIZES, BOXES, strict=True))
    ]
    return Dataset("noise", tuple(records), ("a", "b", "c"), reader=_noise)


def _noise(record: Record) -> np.ndarray:
    size = record.height, record.width, 3
    return np.random.default_rng(record.image_id).integers(0, 256, size, np.uint8)


def _run(data: Dataset, index: int | None, rng: np.random.Generator | None) -> Sample:
    record = None if index is None else data.records[index]
    sample = empty_sample(40, 40) if index is None else data.read_sample(index)
    try:
        return run_transforms(data, sample, record, rng)
    except ValueError as error:  # says what is wrong, as in a run
        raise AssertionError(str(error)) from error


def _check_boxes(sample: Sample) -> None:
    height, width = sample.image.shape[:2]
    limit = np.array([width, height] * 2) + 1e-3
    inside = (sample.boxes >= -1e-3) & (sample.boxes <= limit)
    assert inside.all(), "boxes lie inside the image that is returned: clipped, or dropped"
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    assert (sides > 0).all(), "boxes have an area: x0 < x1 and y0 < y1"


def _check_extras(samples: list[Sample], whole: Sample) -> None:
    for sample in samples:
        for kind in ("extra", "box_extra"):
            ours, theirs = getattr(sample, kind), getattr(whole, kind)
            assert ours.keys() == theirs.keys(), f"every image has the same {kind}, no image too"
            for name, array in ours.items():
                other = theirs[name]
                assert array.dtype == other.dtype, f"{kind} '{name}' has one dtype for all images"
                rows = 1 if kind == "box_extra" else 2 * (name in whole.maps)
                same = array.shape[rows:] == other.shape[rows:]
                assert same, f"{kind} '{name}' has one shape for all images, unless it is a map"


def _same(one: Any, other: Any) -> bool:
    arrays = [{f.name: getattr(x, f.name) for f in dataclasses.fields(x)} for x in (one, other)]
    return _equal(*arrays)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    return np.array_equal(one, other)

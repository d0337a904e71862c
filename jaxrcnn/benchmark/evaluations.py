"""COCO's average precision of drawn detections, by each library that computes it."""

import importlib.util
import time
from collections.abc import Mapping
from typing import NamedTuple, get_args

import numpy as np

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections, coco_scores, detections_to_coco
from jaxrcnn.evaluation.coco_backends import Backend

IMAGES = 5000
"""As in COCO val2017."""
CLASSES = 80
OBJECTS, FALSE = 7, 60
"""Mean numbers of an image's objects, and of its false detections."""
SIZE = (480, 640)
"""Height and width of an image."""
NOISE = 5.0
"""Standard deviation of a found box's sides from those of its object, pixels."""


class Rates(NamedTuple):
    """Seconds that an evaluation takes."""

    detections: int
    prepare: float  # detections as COCO's results
    backends: Mapping[Backend, float]  # results to numbers


def draw_evaluation(images: int) -> tuple[Dataset, dict[int, ImageDetections]]:
    """A data set with crowds, and detections: each object is found, more or less well."""
    rng = np.random.default_rng(0)
    records, found = [], {}
    for index in range(images):
        boxes, labels = _draw_boxes(rng, OBJECTS)
        crowd = (rng.random(len(boxes)) < 0.02).tolist()
        records.append(
            make_record(index + 1, f"{index}", "", SIZE, boxes, labels.tolist(), crowd=crowd)
        )
        near = boxes + rng.normal(0, NOISE, boxes.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        others, kinds = _draw_boxes(rng, FALSE)
        scores = np.concatenate([rng.random(len(near)), rng.random(len(others)) ** 3])
        found[index] = ImageDetections(
            np.concatenate([near, others]).astype(np.float32),
            scores.astype(np.float32),
            np.concatenate([labels, kinds]).astype(np.int32),
        )
    names = tuple(f"class {label}" for label in range(1, CLASSES + 1))
    return Dataset("drawn", tuple(records), names), found


def _draw_boxes(rng: np.random.Generator, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of sides from 10 to 300 pixels, as many small as large ones, and their labels."""
    number = rng.poisson(mean)
    sides = np.exp(rng.uniform(np.log(10), np.log(300), (number, 2)))
    corners = rng.random((number, 2)) * (np.array(SIZE[::-1]) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    return boxes, rng.integers(1, CLASSES + 1, number)


def evaluation_rates(dataset: Dataset, found: dict[int, ImageDetections]) -> Rates:
    """Time an evaluation by every backend that is installed."""
    began = time.perf_counter()
    results = detections_to_coco(dataset, found)
    prepare = time.perf_counter() - began
    seconds: dict[Backend, float] = {}
    for backend in get_args(Backend):
        if importlib.util.find_spec(backend) is not None:
            began = time.perf_counter()
            coco_scores(dataset, results, backend=backend)
            seconds[backend] = time.perf_counter() - began
    return Rates(len(results), prepare, seconds)

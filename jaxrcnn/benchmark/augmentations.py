"""What each augmentation costs, beside the decoding of an image."""

import dataclasses
import time

import numpy as np

from jaxrcnn.benchmark.inputs import BATCH, FILE_SIZE, input_config
from jaxrcnn.config import Config
from jaxrcnn.data.augment import AUGMENTATIONS
from jaxrcnn.data.batches import make_train_batch
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.records import Dataset, Record, make_record

BOXES = 8
"""On each image: about as many as COCO has."""


def augmentation_costs(dataset: Dataset, config: Config, batches: int) -> dict[str, float]:
    """Milliseconds of a core that an image takes longer with each augmentation, without decoding.

    Below 0 where less is left to resize. An augmentation of several images reads the others, which
    is not counted.

    Args:
        dataset: of images that are alike.
        config: for the batches.
        batches: that are made with each augmentation.
    """
    held = _in_memory(dataset)
    names: list[str | None] = [None, *AUGMENTATIONS]
    seconds = dict.fromkeys(names, 0.0)
    for step in range(-1, batches):  # the first warms up
        for name in names:
            took = _seconds_of_batch(held, config, name, max(step, 0))
            seconds[name] += took if step >= 0 else 0.0
    plain = seconds.pop(None)
    images = batches * BATCH
    return {str(name): 1e3 * (took - plain) / images for name, took in seconds.items()}


def _seconds_of_batch(dataset: Dataset, config: Config, name: str | None, step: int) -> float:
    config = input_config(config, BATCH, 1)
    augment = () if name is None else (f"{name}(p=1.0)",)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, augment=augment))
    bucket = training_buckets(dataset, config).shapes[0]
    indices = [index % len(dataset) for index in range(BATCH)]
    began = time.thread_time()
    make_train_batch(dataset, config, bucket, indices, step)
    return time.thread_time() - began


def _in_memory(dataset: Dataset) -> Dataset:
    """The data set with its images decoded, and with drawn boxes."""
    images = {record.image_id: dataset.reader(record) for record in dataset.records}
    rng = np.random.default_rng(0)
    records = [_with_boxes(record, rng) for record in dataset.records]

    def read(record: Record) -> np.ndarray:
        return images[record.image_id]

    return Dataset("in memory", records, ("object",), reader=read)


def _with_boxes(record: Record, rng: np.random.Generator) -> Record:
    sides = np.array(FILE_SIZE[::-1])
    corners = np.sort(rng.integers(0, sides // 2, (BOXES, 2, 2)), axis=1)
    corners = np.where(rng.random((BOXES, 1, 2)) < 0.5, corners, corners + sides // 2)
    corners[:, 1] += 1
    boxes = corners.reshape(BOXES, 4)
    return make_record(record.image_id, record.name, "", FILE_SIZE, boxes, [1] * BOXES)

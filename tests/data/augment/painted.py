"""A data set of black images with a painted rectangle for each box, in the colour of its class."""

import dataclasses

import numpy as np

from jaxrcnn.data.records import Dataset, make_record

VALUE = 240
"""Of a painted pixel, in the channel of its class; the classes are 1 to 3."""


def read_painted(record):
    image = np.zeros((record.height, record.width, 3), np.uint8)
    for (x0, y0, x1, y1), label in zip(record.boxes.astype(int), record.labels, strict=True):
        image[y0:y1, x0:x1, label - 1] = VALUE
    return image


def add_labels(sample, record, rng):
    """A map with the class of each pixel, and a row with the class of each box."""
    labels = sample.image.argmax(axis=2) + 1
    extra = {"mask": np.where(sample.image.any(axis=2), labels, 0).astype(np.uint8)}
    rows = {"label": sample.labels.astype(np.float32)}
    return dataclasses.replace(sample, extra=extra, box_extra=rows)


def painted_dataset(number=12):
    """Images of several sizes, two of them portrait, each with a rectangle of two or three."""
    rng, records = np.random.default_rng(3), []
    sizes = [(96, 128), (120, 160), (60, 80), (150, 200), (96, 160), (160, 96)]
    for index in range(number):
        height, width = sizes[index % len(sizes)]
        boxes, labels = [], rng.permutation(3)[: rng.integers(2, 4)] + 1
        for place in range(len(labels)):  # one beneath the other
            top, room = place * height // 3, height // 3
            y0 = top + rng.integers(2, room // 3)
            x0 = rng.integers(2, width // 2)
            y1 = rng.integers(y0 + room // 3, top + room - 1)
            x1 = rng.integers(x0 + 8, width - 1)
            boxes.append([x0, y0, x1, y1])
        records.append(make_record(index, f"p{index}", "", (height, width), boxes, labels))
    names = ("red", "green", "blue")
    return Dataset("painted", records, names, reader=read_painted, transforms=(add_labels,))

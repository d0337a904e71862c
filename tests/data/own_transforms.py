"""Transforms as forks write them: a function, a frozen dataclass, one that holds the data set."""

import dataclasses

import numpy as np

from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import resize


def add_extras(sample, record, rng):
    """A map that tells the image's id, an array of two numbers, a number for each box."""
    number = 0 if record is None else record.image_id + 1
    mask = np.full(sample.image.shape[:2], number, np.uint8)
    extra = {"mask": mask, "pose": np.array([number, 1], np.float32)}
    angles = np.arange(1, len(sample.boxes) + 1, dtype=np.float32)
    return dataclasses.replace(sample, extra=extra, box_extra={"angle": angles})


@dataclasses.dataclass(frozen=True)
class Darken:
    """Draws how dark an image becomes."""

    most: int

    def __call__(self, sample, record, rng):
        if rng is None:
            return sample
        darker = np.maximum(sample.image.astype(int) - rng.integers(1, self.most), 0)
        return dataclasses.replace(sample, image=darker.astype(np.uint8))


class Beside:
    """To the right of an image another one of the data set, as large as the first."""

    def __init__(self, dataset: Dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __call__(self, sample, record, rng):
        if rng is None or record is None:
            return sample
        height, width = sample.image.shape[:2]
        other = self.dataset.read_sample(int(rng.choice(self.indices)))
        other = resize(other, (height, width))
        moved = other.boxes + np.array([width, 0, width, 0], np.float32)
        return Sample(
            np.concatenate([sample.image, other.image], axis=1),
            np.concatenate([sample.boxes, moved]),
            np.concatenate([sample.labels, other.labels]),
            np.concatenate([sample.ignore, other.ignore]),
        )


def turn(sample, record, rng):
    """By 90 degrees counterclockwise, in training: x becomes y, and y becomes W - x."""
    if rng is None:
        return sample
    width = sample.image.shape[1]
    x0, y0, x1, y1 = sample.boxes.T
    return dataclasses.replace(
        sample,
        image=np.rot90(sample.image),
        boxes=np.stack([y0, width - x1, y1, width - x0], axis=1),
        extra={
            name: np.rot90(array) if name in sample.maps else array
            for name, array in sample.extra.items()
        },
    )

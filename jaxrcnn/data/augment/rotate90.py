"""Turns by 90 degrees."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment.arguments import share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import changed


@dataclasses.dataclass(frozen=True)
class Rotate90(Augmentation):
    """With probability p, turn an image by 90, 180 or 270 degrees, each as often."""

    p: float = share(0.75)

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample, turned."""
        return turn(sample, int(rng.integers(1, 4)))


def turn(sample: Sample, times: int) -> Sample:
    """Turn a sample by 90 degrees counterclockwise so many times, 1 to 3."""
    height, width = sample.image.shape[:2]

    def move(boxes: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = boxes.T
        corners = {
            1: (y0, width - x1, y1, width - x0),
            2: (width - x1, height - y1, width - x0, height - y0),
            3: (height - y1, x0, height - y0, x1),
        }
        return np.stack(corners[times], axis=1)

    turned = changed(
        sample,
        np.ascontiguousarray(np.rot90(sample.image, times)),
        move,
        lambda array: np.rot90(array, times),
    )
    if sample.final_size is None or times == 2:
        return turned
    return dataclasses.replace(turned, final_size=sample.final_size[::-1])

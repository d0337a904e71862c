"""What all augmentations have in common."""

import abc
from typing import ClassVar

import numpy as np

from jaxrcnn.data.sample import Sample


class Augmentation(abc.ABC):
    """A transform that changes a sample with probability p, and never in evaluation."""

    images: ClassVar[int] = 1
    """How many images become one by it."""
    p: float

    def __call__(self, sample: Sample, record: object, rng: np.random.Generator | None) -> Sample:
        """The sample, changed or as it is; it stays where there is no image (record None) too."""
        if rng is None or record is None or not self.is_drawn(rng):
            return sample
        return self.change(sample, rng)

    def is_drawn(self, rng: np.random.Generator) -> bool:
        """Whether a sample is changed."""
        return bool(rng.random() < self.p)

    @abc.abstractmethod
    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The changed sample."""

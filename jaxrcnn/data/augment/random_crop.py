"""A random crop that keeps the centre of an object."""

import dataclasses
import math

import numpy as np

from jaxrcnn.data.augment.arguments import argument, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.visible import cut
from jaxrcnn.data.sample import Sample


@dataclasses.dataclass(frozen=True)
class RandomCrop(Augmentation):
    """With probability p, cut out a window of `low` to `high` of the height and of the width.

    The centre of a drawn object is in the window, if there is an object. Boxes stay if their own
    centre is.

    Source: Detectron2's ``RandomCropWithInstance`` with type "relative_range".
    """

    setting: Setting
    p: float = share(0.5)
    low: float = argument(0.5, 0.01, 1.0)
    high: float = argument(1.0, 0.01, 1.0)

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The window."""
        shares = rng.uniform(self.low, self.high, 2)
        centre = _drawn_centre(sample, rng)
        firsts, kept = [], []
        for axis, length in enumerate(sample.image.shape[:2]):
            part = max(1, round(length * shares[axis]))
            lowest, highest = 0, length - part
            if centre is not None:
                pixel = min(length - 1, math.floor(centre[axis]))
                lowest, highest = max(lowest, pixel - part + 1), min(highest, pixel)
            firsts.append(int(rng.integers(lowest, highest + 1)))
            kept.append(part)
        (y, x), (height, width) = firsts, kept
        window = y, x, y + height, x + width
        return cut(sample, window, self.setting.min_visible, centres=True)


def _drawn_centre(sample: Sample, rng: np.random.Generator) -> tuple[float, float] | None:
    """The centre (y, x) of one of the objects."""
    boxes = sample.boxes[~sample.ignore]
    if not len(boxes):
        return None
    x0, y0, x1, y1 = boxes[rng.integers(len(boxes))].tolist()
    return (y0 + y1) / 2, (x0 + x1) / 2

"""SSD's zoom-out."""

import dataclasses
import math

import numpy as np

from jaxrcnn.data.augment.arguments import argument, grey, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import changed, in_proportion

MOST_PIXELS = 2**24
"""Height times width of the largest frame, so that large images do not fill the memory."""


@dataclasses.dataclass(frozen=True)
class ZoomOut(Augmentation):
    """With probability p, place an image in a grey frame with `low` to `high` times its sides.

    The frame has at most 2**24 pixels; an image that has more is left as it is.

    Source: SSD (1512.02325), section 3.6; torchvision's ``RandomZoomOut``, draw by draw.
    """

    p: float = share(0.5)
    low: float = argument(1.0, 1.0, 100)
    high: float = argument(4.0, 1.0, 100)
    fill: int = grey()

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The frame."""
        height, width = sample.image.shape[:2]
        sides = self.low + rng.random() * (self.high - self.low)
        sides = max(1.0, min(sides, math.sqrt(MOST_PIXELS / (height * width))))
        rows, columns = int(height * sides), int(width * sides)
        across, down = rng.random(2)
        x, y = int((columns - width) * across), int((rows - height) * down)

        def framed(array: np.ndarray, fill: int = 0) -> np.ndarray:
            frame = np.full((rows, columns, *array.shape[2:]), fill, array.dtype)
            frame[y : y + height, x : x + width] = array
            return frame

        return changed(
            in_proportion(sample, (rows, columns)),
            framed(sample.image, self.fill),
            lambda boxes: boxes + np.array([x, y, x, y], np.float32),
            framed,
        )

"""Cutout: holes in an image."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment.arguments import argument, grey, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.visible import cover
from jaxrcnn.data.sample import Sample


@dataclasses.dataclass(frozen=True)
class Cutout(Augmentation):
    """With probability p, fill 1 to `count` rectangles with grey.

    Each has `low` to `high` of the image's height and of its width, all drawn uniformly. Boxes
    shrink to what is visible of them. Maps are left as they are.

    Source: Cutout (1708.04552); albumentations' ``CoarseDropout``.
    """

    setting: Setting
    p: float = share(0.5)
    count: int = argument(8, 1, 1000)
    low: float = argument(0.02, 0.0, 1.0)
    high: float = argument(0.2, 0.0, 1.0)
    fill: int = grey()

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with holes."""
        size, number = np.array(sample.image.shape[:2]), int(rng.integers(1, self.count + 1))
        sides = rng.uniform(self.low, self.high, (number, 2)) * size
        sides = np.maximum(1, np.rint(sides)).astype(int)
        firsts = rng.integers(0, size - sides + 1)
        rectangles = np.concatenate([firsts[:, ::-1], (firsts + sides)[:, ::-1]], axis=1)  # xyxy
        return cut_out(sample, rectangles, self.fill, self.setting.min_visible)


def cut_out(sample: Sample, rectangles: np.ndarray, fill: int, min_visible: float) -> Sample:
    """Fill rectangles (r, 4) xyxy in whole pixels of a sample's image."""
    image = sample.image.copy()
    for x0, y0, x1, y1 in rectangles.tolist():
        image[y0:y1, x0:x1] = fill
    return cover(dataclasses.replace(sample, image=image), rectangles, min_visible)

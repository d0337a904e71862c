"""Large-scale jitter (LSJ)."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment.arguments import argument, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.zooming import zoom
from jaxrcnn.data.sample import Sample


@dataclasses.dataclass(frozen=True)
class LargeScaleJitter(Augmentation):
    """With probability p, resize an image by `low` to `high`, whatever data.short_side is.

    At scale 1 it just fits the shape that the batch is padded to. A larger one is cut to that
    shape, from a drawn place on; a smaller one is padded as ever. Scale and place are drawn
    uniformly.

    Source: Simple Copy-Paste (2012.07177), section 3; Detectron2's ``ResizeScale`` and
        ``FixedSizeCrop``, whose place is drawn once for both axes.
    """

    setting: Setting
    p: float = share(1.0)
    low: float = argument(0.1, 0.01, 100)
    high: float = argument(2.0, 0.01, 100)

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample, cut and with a final size that fits the batch."""
        (height, width), canvas = sample.image.shape[:2], self.setting.canvas
        scale = rng.uniform(self.low, self.high) * min(canvas[0] / height, canvas[1] / width)
        size = max(1, round(scale * height)), max(1, round(scale * width))
        return zoom(sample, size, canvas, self.setting.min_visible, rng)

"""Mosaic: four images in one."""

import dataclasses
from typing import ClassVar

import numpy as np

from jaxrcnn.data.augment.arguments import argument, grey, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.layers import Layer, merge
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.zooming import resized, zoom
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size


@dataclasses.dataclass(frozen=True)
class Mosaic(Augmentation):
    """With probability p, put an image and three drawn ones around a point, in the batch's shape.

    The point is drawn from `centre` to 1 - `centre` of the height and of the width. Each image is
    resized to `low` to `high` times the size that it would have alone. If it is larger than its
    quarter of the mosaic, a window is drawn; if it is smaller, it touches the point.

    An image stays alone if one of the others cannot be read, or if all have more boxes than the
    batch has room for.

    Source: YOLOv4 (2004.10934), section 3.3.
    """

    images: ClassVar[int] = 4
    setting: Setting
    p: float = share(0.5)
    low: float = argument(0.5, 0.01, 10)
    high: float = argument(1.0, 0.01, 10)
    centre: float = argument(0.25, 0.0, 0.5)
    fill: int = grey()

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The mosaic, in its final size."""
        samples: list[Sample] = [sample]
        for _ in range(self.images - 1):
            other = self.setting.another(rng)
            if other is None:
                return sample
            samples.append(other)
        if sum(len(each.boxes) for each in samples) > self.setting.room:
            return sample
        height, width = self.setting.canvas
        down, across = rng.uniform(self.centre, 1 - self.centre, 2)
        y, x = round(height * down), round(width * across)
        layers = []
        for place, each in enumerate(samples):
            below, right = divmod(place, 2)
            space = height - y if below else y, width - x if right else x
            if min(space):
                tile = self._tile(each, space, rng)
                rows, columns = tile.image.shape[:2]
                layers.append(Layer(tile, y if below else y - rows, x if right else x - columns))
        return merge(layers, (height, width), self.fill)

    def _tile(self, sample: Sample, space: Size, rng: np.random.Generator) -> Sample:
        """What is seen of a sample in its quarter."""
        height, width = self.setting.final_size(sample)
        scale = rng.uniform(self.low, self.high)
        size = max(1, round(scale * height)), max(1, round(scale * width))
        return resized(zoom(sample, size, space, self.setting.min_visible, rng), self.setting)

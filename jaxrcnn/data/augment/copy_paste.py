"""Copy-paste by boxes."""

import dataclasses
from typing import ClassVar

import numpy as np

from jaxrcnn.data.augment.arguments import argument, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.layers import Layer, merge
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.visible import cover, cut
from jaxrcnn.data.augment.zooming import resized
from jaxrcnn.data.sample import Sample


@dataclasses.dataclass(frozen=True)
class CopyPaste(Augmentation):
    """With probability p, paste the rectangles of 1 to `count` objects of a drawn image.

    Everything is brought to its final size. The rectangles get drawn places inside the image, and
    cover what is below: boxes shrink to what is visible of them. Other objects that reach into a
    rectangle come along, as a crop leaves them.

    A rectangle that does not fit the image is left out, and so is one with more boxes than the
    batch has room for.

    Source: Cut, Paste and Learn (1708.01642); Simple Copy-Paste (2012.07177), which pastes masks.
    """

    images: ClassVar[int] = 2
    setting: Setting
    p: float = share(0.5)
    count: int = argument(4, 1, 1000)

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The image with what is pasted, in its final size."""
        other = self.setting.another(rng)
        if other is None:
            return sample
        below = resized(sample, self.setting)
        above = dataclasses.replace(other, final_size=self.setting.final_size(other))
        size = below.image.shape[0], below.image.shape[1]
        layers = [Layer(below, 0, 0)]
        room = self.setting.room - len(below.boxes)
        objects = rng.permutation(np.flatnonzero(~above.ignore))
        for index in objects[: rng.integers(1, self.count + 1)]:
            piece = self._piece(above, above.boxes[index])
            rows, columns = size[0] - piece.image.shape[0], size[1] - piece.image.shape[1]
            if rows < 0 or columns < 0 or len(piece.boxes) > room:
                continue
            y, x = int(rng.integers(rows + 1)), int(rng.integers(columns + 1))
            layers.append(Layer(piece, y, x))
            room -= len(piece.boxes)
        return merge(self._covered(layers), size, fill=0)

    def _piece(self, sample: Sample, box: np.ndarray) -> Sample:
        """The pixels that a box touches in their final size, with all boxes in them."""
        height, width = sample.image.shape[:2]
        x0, y0 = np.floor(box[:2]).astype(int).tolist()
        x1, y1 = np.ceil(box[2:]).astype(int).tolist()
        window = max(0, y0), max(0, x0), min(height, y1), min(width, x1)
        return resized(cut(sample, window, self.setting.min_visible), self.setting)

    def _covered(self, layers: list[Layer]) -> list[Layer]:
        """Each layer's boxes without what the layers above it cover."""
        corners = np.array([(layer.x, layer.y) for layer in layers])
        sides = np.array([layer.sample.image.shape[1::-1] for layer in layers])
        rectangles = np.concatenate([corners, corners + sides], axis=1)  # (layers, 4) xyxy
        return [
            layer._replace(
                sample=cover(
                    layer.sample,
                    rectangles[place + 1 :] - np.tile(corners[place], 2),
                    self.setting.min_visible,
                )
            )
            for place, layer in enumerate(layers)
        ]

"""Photometric distortion."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.data.augment.arguments import argument, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.sample import Sample

if TYPE_CHECKING:
    from PIL import Image


@dataclasses.dataclass(frozen=True)
class Photometric(Augmentation):
    """With probability p each, change brightness, contrast, saturation and hue, and swap channels.

    Brightness, contrast and saturation are multiplied by a factor of at least 1 - x and at most
    1 + x; the hue is shifted by at most `hue` of its circle. Contrast is changed before saturation
    or last, each as often.

    Source: SSD (1512.02325), section 2.2; torchvision's ``RandomPhotometricDistort`` on images of
        Pillow, draw by draw and to the pixel.
    """

    p: float = share(0.5)
    brightness: float = share(0.125)
    contrast: float = share(0.5)
    saturation: float = share(0.5)
    hue: float = argument(0.05, 0.0, 0.5)
    swap: bool = argument(True, 0, 1)

    def is_drawn(self, rng: np.random.Generator) -> bool:
        """Always: each of the changes has its own draw."""
        return True

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with other colours."""
        from PIL import Image, ImageEnhance

        widths = self.brightness, self.contrast, self.saturation
        brightness, contrast, saturation = (self._drawn(1 - x, 1 + x, rng) for x in widths)
        hue = self._drawn(-self.hue, self.hue, rng)
        contrast_first = rng.random() < 0.5
        order = rng.permutation(3) if rng.random() < self.p and self.swap else None
        image = Image.fromarray(sample.image)
        if brightness is not None:
            image = _blended(image, 0, brightness)
        if contrast is not None and contrast_first:
            image = _blended(image, _mean(image), contrast)
        if saturation is not None:
            image = ImageEnhance.Color(image).enhance(saturation)
        if hue is not None:
            shifted = [(value + int(hue * 255)) % 256 for value in range(256)]
            image = image.convert("HSV").point(shifted + 2 * list(range(256))).convert("RGB")
        if contrast is not None and not contrast_first:
            image = _blended(image, _mean(image), contrast)
        if order is not None:
            channels = image.split()
            image = Image.merge("RGB", [channels[channel] for channel in order])
        return dataclasses.replace(sample, image=np.asarray(image))

    def _drawn(self, low: float, high: float, rng: np.random.Generator) -> float | None:
        return low + rng.random() * (high - low) if rng.random() < self.p else None


def _mean(image: "Image.Image") -> int:
    """The mean luminance, rounded as Pillow's ``ImageEnhance.Contrast`` does."""
    from PIL import ImageStat

    return int(ImageStat.Stat(image.convert("L")).mean[0] + 0.5)


def _blended(image: "Image.Image", grey: int, factor: float) -> "Image.Image":
    """The image times the factor, plus grey times the rest: Pillow's blend of 256 values."""
    from PIL import Image

    values = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = Image.blend(Image.new("L", values.size, grey), values, factor)
    return image.point(3 * np.asarray(table)[0].tolist())

"""SSD's crop by IoU."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment.arguments import argument, share
from jaxrcnn.data.augment.augmentation import Augmentation
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.visible import cut
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Window, have_centres

OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Smallest IoUs of the window with an object, of which one is drawn; 1 means the whole image."""


@dataclasses.dataclass(frozen=True)
class IouCrop(Augmentation):
    """With probability p, cut out a window that overlaps an object by a drawn IoU.

    Height and width are `low` to `high` of the image's, one at most `ratio` times the other's
    share. After so many `trials` that do not fit, another IoU is drawn. Boxes stay if their centre
    is in the window.

    Source: SSD (1512.02325), section 2.2; torchvision's ``RandomIoUCrop``, draw by draw.
    """

    setting: Setting
    p: float = share(1.0)
    low: float = argument(0.3, 0.01, 1.0)
    high: float = argument(1.0, 0.01, 1.0)
    ratio: float = argument(2.0, 1.0)
    trials: int = argument(40, 1, 1000)

    def change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The window."""
        boxes = sample.boxes[~sample.ignore]
        if not len(boxes):
            return sample
        window = self._window(sample.image.shape[:2], boxes, rng)
        return sample if window is None else cut(sample, window, self.setting.min_visible, True)

    def _window(
        self, size: tuple[int, ...], boxes: np.ndarray, rng: np.random.Generator
    ) -> Window | None:
        while True:
            least = OVERLAPS[rng.integers(len(OVERLAPS))]
            if least == 1.0:
                return None
            for _ in range(self.trials):
                window = self._trial(size, rng)
                if window is None:
                    continue
                inside = boxes[have_centres(boxes, window)]
                if len(inside) and _ious(inside, window).max() >= least:
                    return window

    def _trial(self, size: tuple[int, ...], rng: np.random.Generator) -> Window | None:
        """A window, unless it is too wide, too high or empty."""
        height, width = size
        across, down = self.low + (self.high - self.low) * rng.random(2)
        columns, rows = int(width * across), int(height * down)
        if not rows or not 1 / self.ratio <= columns / rows <= self.ratio:
            return None
        across, down = rng.random(2)
        x, y = int((width - columns) * across), int((height - rows) * down)
        return (y, x, y + rows, x + columns) if columns else None


def _ious(boxes: np.ndarray, window: Window) -> np.ndarray:
    """IoUs of boxes (n, 4) with a window, (n,)."""
    y0, x0, y1, x1 = window
    shared = np.minimum(boxes[:, 2:], (x1, y1)) - np.maximum(boxes[:, :2], (x0, y0))
    both = np.prod(np.maximum(shared, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return both / (areas + (y1 - y0) * (x1 - x0) - both)

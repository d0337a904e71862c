"""One image on its way into a batch, with its boxes and whatever else belongs to it."""

import dataclasses
from typing import NamedTuple

import numpy as np


class ImageProposals(NamedTuple):
    """Proposals of one image, best first, no padding."""

    boxes: np.ndarray  # (R, 4) float32, xyxy in pixels of the image, the original one on disk
    scores: np.ndarray  # (R,) float32, objectness logits


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a transform takes and returns; `dataclasses.replace` gives one with other fields.

    An array in `extra` whose first two axes are the image's height and width is a map: it is
    resized (nearest pixel), flipped and cropped with the image, and padded with zeros. Any other
    has the same shape for every image. In `box_extra` the first axis is that of the boxes.
    """

    image: np.ndarray  # (h, w, 3) uint8 RGB; once resized, float32 with data.resize "torchvision"
    boxes: np.ndarray  # (g, 4) float32, xyxy in pixels of `image`, see `full_size`
    labels: np.ndarray  # (g,) int32, 1..K
    ignore: np.ndarray  # (g,) bool, not to be trained on
    extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    box_extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)  # each (g, ...)
    proposals: ImageProposals | None = None  # given ones, in pixels of `image`, best first
    final_size: tuple[int, int] | None = None  # to be resized to; None: as data.short_side says
    # Of an image that was decoded at a fraction of its size: height and width of the whole, in
    # whose pixels the boxes are. Transforms never see such a sample.
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, of the whole where it was decoded at a fraction."""
        return self.full_size or (self.image.shape[0], self.image.shape[1])

    @property
    def maps(self) -> set[str]:
        """Names of the extras that are maps."""
        size = self.image.shape[:2]
        return {name for name, extra in self.extra.items() if extra.shape[:2] == size}


def empty_sample(height: int, width: int) -> Sample:
    """A black image without boxes."""
    return Sample(
        np.zeros((height, width, 3), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int32),
        np.zeros(0, bool),
    )

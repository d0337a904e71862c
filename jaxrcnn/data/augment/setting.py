"""What augmentations need to know of the batch that they work for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size


class Setting(NamedTuple):
    """The place in a batch that a sample is made for, and where others come from."""

    canvas: Size
    """Height and width that the images of the batch are padded to."""
    min_visible: float
    """Smallest share of a box's area that remains where the box does: data.min_visible."""
    room: int
    """Boxes of an image that the batch has room for."""
    final_size: Callable[[Sample], Size]
    """The size that a sample is going to be resized to."""
    another: Callable[[np.random.Generator], Sample | None]
    """A drawn image of the data set after the augmentations that come before; None where it cannot
    be read."""

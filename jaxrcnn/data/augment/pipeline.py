"""The augmentations of a config, one after the other."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.augment.names import Call
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.records import Dataset, Record
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size

DRAWS = 10_000
"""Images that are put together to find out how many boxes they have."""
ENOUGH = 0.999
"""Share of them that a batch has room for."""


class Scene(NamedTuple):
    """What the augmentations of an image have in common; see `Setting`."""

    canvas: Size
    min_visible: float
    room: int
    final_size: Callable[[Sample], Size]
    read: Callable[[np.random.Generator], tuple[Sample, Record] | None]
    """A drawn image of the data set, after its transforms; None where it cannot be read."""


def augment(
    sample: Sample, record: Record, rng: np.random.Generator, calls: Sequence[Call], scene: Scene
) -> Sample:
    """The sample after the augmentations, in order.

    Images that one of them adds have passed those before it, with draws of the same generator.
    """
    for place, call in enumerate(calls):
        another = functools.partial(_another, calls=calls[:place], scene=scene)
        setting = Setting(scene.canvas, scene.min_visible, scene.room, scene.final_size, another)
        sample = call.transform(setting)(sample, record, rng)
    return sample


def _another(rng: np.random.Generator, calls: Sequence[Call], scene: Scene) -> Sample | None:
    found = scene.read(rng)
    return None if found is None else augment(*found, rng, calls, scene)


def room_for(dataset: Dataset, calls: Sequence[Call]) -> int:
    """Boxes of an image that a batch needs room for, with these augmentations.

    As many as any image has, and as 999 of 1000 images do that are put together of drawn ones.
    """
    images = math.prod(call.images for call in calls)
    counts = dataset.columns.counts
    if images == 1 or not len(counts):
        return dataset.max_boxes
    drawn = counts[np.random.default_rng(0).integers(len(counts), size=(DRAWS, images))]
    most = np.quantile(drawn.sum(axis=1), ENOUGH, method="higher")
    return max(dataset.max_boxes, int(most))

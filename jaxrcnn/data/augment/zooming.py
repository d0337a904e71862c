"""Scaling that is put off until the sample's one resizing."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.visible import cut
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size, resize


def zoom(
    sample: Sample, size: Size, space: Size, min_visible: float, rng: np.random.Generator
) -> Sample:
    """Say what size a sample is to be resized to, and cut off what would not fit.

    Args:
        sample: of which the pixels are not resized yet.
        size: wanted height and width.
        space: height and width of which no more is kept, from a drawn place on.
        min_visible: see `cut`.
        rng: draws the place, along each axis.
    """
    firsts, kept, final = [], [], []
    for length, wanted, most in zip(sample.image.shape[:2], size, space, strict=True):
        part = length if wanted <= most else min(length, max(1, round(length * most / wanted)))
        firsts.append(int(rng.integers(length - part + 1)))
        kept.append(part)
        final.append(min(most, max(1, round(wanted * part / length))))
    (y, x), (height, width) = firsts, kept
    part = cut(sample, (y, x, y + height, x + width), min_visible)
    return dataclasses.replace(part, final_size=(final[0], final[1]))


def resized(sample: Sample, setting: Setting) -> Sample:
    """The sample in its final size, so that it is not resized again."""
    size = setting.final_size(sample)
    return dataclasses.replace(resize(sample, size), final_size=size)

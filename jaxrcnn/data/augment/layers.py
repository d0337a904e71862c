"""Samples laid over each other in one image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import Size


class Layer(NamedTuple):
    """A sample, and where its upper left corner is."""

    sample: Sample
    y: int
    x: int


def merge(layers: Sequence[Layer], size: Size, fill: int) -> Sample:
    """The samples as one, later ones above earlier ones.

    Args:
        layers: inside the image.
        size: height and width of the image, which is also its final size.
        fill: value of the pixels where there is no layer; maps are 0 there.

    Returns:
        The image with the boxes of all layers, which are not changed by those above. Extras that
        are no maps are those of the first layer.

    Raises:
        ValueError: the samples have other extras than the first, or given proposals.
    """
    samples = [layer.sample for layer in layers]
    _check(samples)
    image = np.full((*size, 3), fill, np.uint8)
    first = samples[0]
    extra = dict(first.extra)
    for name in first.maps:
        extra[name] = np.zeros((*size, *extra[name].shape[2:]), extra[name].dtype)
    for sample, y, x in layers:
        height, width = sample.image.shape[:2]
        place = slice(y, y + height), slice(x, x + width)
        image[place] = sample.image
        for name in first.maps:
            extra[name][place] = sample.extra[name]
    boxes = [one.boxes + np.array([x, y, x, y], np.float32) for one, y, x in layers]
    return Sample(
        image,
        np.concatenate(boxes),
        np.concatenate([sample.labels for sample in samples]),
        np.concatenate([sample.ignore for sample in samples]),
        extra,
        {name: np.concatenate([x.box_extra[name] for x in samples]) for name in first.box_extra},
        final_size=size,
    )


def _check(samples: Sequence[Sample]) -> None:
    first = samples[0]
    for sample in samples:
        if sample.proposals is not None:
            raise ValueError(
                "mosaic and copy_paste do not work with given proposals, which belong to a single "
                "image; remove them from data.augment"
            )
        if (sample.maps, sample.box_extra.keys()) != (first.maps, first.box_extra.keys()):
            raise ValueError(
                "mosaic and copy_paste need the same maps and box_extra in every image: return "
                "them for all images in the data set's transforms"
            )

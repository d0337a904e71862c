"""Against Pillow, and against the loader's own resizing in numpy, which its tests know by hand."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.data import transforms
from jaxrcnn.data.sample import empty_sample
from jaxrcnn.ops.resize import resize

run = jax.jit(resize, static_argnums=(3, 4))


def padded(size, seed=0):
    """An image in the corner of a larger one, and NaN around it."""
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    canvas = np.full((40, 50, 3), np.nan, np.float32)
    canvas[: size[0], : size[1]] = image
    return image, canvas


@pytest.mark.parametrize(
    ("size", "new_size"), [((40, 50), (24, 30)), ((30, 20), (48, 32)), ((33, 50), (26, 40))]
)
@pytest.mark.parametrize("method", ["pillow", "torchvision"])
def test_pixels_are_those_of_the_loader(size, new_size, method):
    image, canvas = padded(size)
    got = np.array(
        run(canvas, np.array(size, np.int32), np.array(new_size, np.int32), (56, 64), method)
    )
    sample = dataclasses.replace(empty_sample(*size), image=image)
    expected = transforms.resize(sample, new_size, method).image
    error = np.abs(got[: new_size[0], : new_size[1]] - expected)
    if method == "torchvision":
        assert error.max() < 1e-3
    else:  # a value half way between two may be rounded otherwise
        assert error.max() <= 1
        assert (error > 0).mean() < 0.05
    got[: new_size[0], : new_size[1]] = 0
    assert not got.any()

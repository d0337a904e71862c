"""Against the peers' formulas in float64, at every size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.resized_size import LARGEST, resized_size

LIMITS = [(800, 1333), (320, 640), (160, 256)]


def float64_sizes(height, widths, short_side, long_side, method):
    """Heights and widths (W, 2) after resizing, as the peers' sources compute them."""
    shorter, longer = np.minimum(height, widths), np.maximum(height, widths)
    if method == "torchvision":
        scale = np.minimum(short_side / shorter, long_side / longer)
        sides = np.floor(height * scale), np.floor(widths * scale)
    else:
        scale = short_side / shorter
        lying = height < widths
        new_height = np.where(lying, short_side, scale * height)
        new_width = np.where(lying, scale * widths, short_side)
        longest = np.maximum(new_height, new_width)
        again = np.where(longest > long_side, long_side / longest, 1.0)
        sides = np.floor(new_height * again + 0.5), np.floor(new_width * again + 0.5)
    return np.maximum(np.stack(sides, 1), 1)


@pytest.mark.parametrize("method", ["pillow", "torchvision"])
@pytest.mark.parametrize("limits", LIMITS)
def test_every_size_from_1_to_2000_is_that_of_float64(limits, method):
    @jax.jit
    def of_row(height):
        sizes = jnp.stack([jnp.full_like(widths, height), widths], 1)
        return jax.vmap(lambda size: resized_size(size, *limits, method))(sizes)

    widths = np.arange(1, 2001, dtype=np.int32)
    for height in range(1, 2001):
        expected = float64_sizes(height, widths, *limits, method)
        np.testing.assert_array_equal(of_row(np.int32(height)), expected, err_msg=str(height))


@pytest.mark.parametrize(
    ("size", "method", "expected"),
    [
        ((480, 640), "torchvision", (800, 1066)),
        ((480, 640), "pillow", (800, 1067)),
        ((704, 1408), "pillow", (666, 1333)),  # 666.5, a little less in two steps
        ((LARGEST, LARGEST), "torchvision", (800, 800)),
        ((1, LARGEST), "torchvision", (1, 1333)),
    ],
)
def test_sizes_that_are_known(size, method, expected):
    assert tuple(resized_size(jnp.array(size, jnp.int32), 800, 1333, method)) == expected

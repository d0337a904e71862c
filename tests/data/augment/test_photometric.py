"""Its colours are torchvision's: see test_peers.py."""

import numpy as np

from jaxrcnn.data.augment.photometric import Photometric
from tests.data.augment.recorded import image_of
from tests.data.augment.settings import Draws
from tests.data.small import sample_of

SAMPLE = sample_of(image_of(6, 8), [[0, 0, 3, 3]])


def test_what_is_not_drawn_does_not_change():
    rng = np.random.default_rng(0)
    same = Photometric(p=0.0)(SAMPLE, "record", rng)
    np.testing.assert_array_equal(same.image, SAMPLE.image)
    still = Photometric(p=1.0, brightness=0, contrast=0, saturation=0, hue=0, swap=False)
    grey = sample_of(np.repeat(image_of(6, 8)[..., :1], 3, axis=2))
    np.testing.assert_array_equal(still(grey, "record", rng).image, grey.image)
    assert Photometric()(SAMPLE, "record", None) is SAMPLE
    assert Photometric()(SAMPLE, None, rng) is SAMPLE


def test_brightness_and_channels_by_hand():
    # Brightness alone, by 0.875 + 0.5 * 0.25 = 1; then by 0.9.
    same = Photometric()(SAMPLE, "record", Draws(0.0, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9))
    np.testing.assert_array_equal(same.image, SAMPLE.image)
    darker = Photometric()(SAMPLE, "record", Draws(0.0, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9))
    np.testing.assert_allclose(darker.image, SAMPLE.image * 0.9, atol=1)
    swapped = Photometric()(SAMPLE, "record", Draws(0.9, 0.9, 0.9, 0.9, 0.9, 0.0, (2, 0, 1)))
    np.testing.assert_array_equal(swapped.image, SAMPLE.image[..., [2, 0, 1]])

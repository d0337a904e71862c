import numpy as np

from jaxrcnn.training.padding import padded_share
from jaxrcnn.types import Batch


def batch_of(sizes, weights, canvas):
    nothing = np.zeros((len(sizes), 0))
    return Batch(
        images=np.zeros((len(sizes), *canvas, 3), np.uint8),
        image_sizes=np.array(sizes, np.int32),
        image_index=np.arange(len(sizes), dtype=np.int32),
        image_weights=np.array(weights, np.float32),
        **dict.fromkeys(("boxes", "labels", "box_valid", "box_ignore"), nothing),
        box_weights=nothing,
    )


def test_the_share_that_is_no_image():
    assert padded_share(batch_of([(32, 64), (32, 64)], [1, 1], (32, 64))) == 0
    assert padded_share(batch_of([(16, 64), (32, 48)], [1, 1], (32, 64))) == (32 + 16) / (2 * 64)


def test_an_image_without_weight_is_padding_and_a_light_one_is_not():
    assert padded_share(batch_of([(32, 64), (32, 64)], [0.5, 0], (32, 64))) == 0.5

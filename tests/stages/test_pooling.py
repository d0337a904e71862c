"""Each RoI of each image is pooled from the map of its size."""

import functools

import jax
import numpy as np

from jaxrcnn.config import RoiConfig
from jaxrcnn.stages.pooling import ROI_OPS, pool_rois

STRIDES = (4, 8, 16, 32)
SIDE = 512


def pool(features, boxes, op, config):
    run = jax.jit(functools.partial(pool_rois, roi_op=op, config=config), static_argnums=1)
    return np.asarray(run(features, STRIDES, boxes))


def test_level_and_image_of_every_roi():
    # Every map holds one value, its level and its image; a RoI of side s is of P4 at 224.
    features = [
        np.full((2, SIDE // stride, SIDE // stride, 1), level, np.float32)
        + np.array([0, 100], np.float32)[:, None, None, None]
        for level, stride in enumerate(STRIDES, start=2)
    ]
    sides = np.array([[50, 111, 113, 230, 460], [460, 230, 113, 111, 50]])
    boxes = np.stack([sides * 0 + 16, sides * 0 + 16, sides + 16, sides + 16], -1)
    pooled = pool(features, boxes.astype(np.float32), ROI_OPS["align"], RoiConfig(output_size=2))
    assert pooled.shape == (10, 2, 2, 1)
    expected = [2, 2, 3, 4, 5, 105, 104, 103, 102, 102]
    np.testing.assert_allclose(
        pooled, np.broadcast_to(np.reshape(expected, (10, 1, 1, 1)), pooled.shape), rtol=1e-6
    )


def report_arguments(features, strides, boxes, levels, output_size, sampling_ratio):
    """A RoI op that says what it was called with."""
    told = np.float32([output_size, sampling_ratio, *strides])
    window = np.broadcast_to(told, (len(boxes), output_size, output_size, len(told)))
    return window + levels[:, None, None, None] * np.float32(1000)


def test_op_gets_the_configs_window_and_its_levels():
    features = [np.zeros((1, SIDE // s, SIDE // s, 6), np.float32) for s in STRIDES]
    boxes = np.array([[[0, 0, 30, 30], [0, 0, 500, 500]]], np.float32)
    got = pool(features, boxes, report_arguments, RoiConfig(output_size=3, sampling_ratio=5))
    np.testing.assert_array_equal(got[0, 0, 0], [3, 5, 4, 8, 16, 32])
    np.testing.assert_array_equal(got[1, 2, 2], [3003, 3005, 3004, 3008, 3016, 3032])

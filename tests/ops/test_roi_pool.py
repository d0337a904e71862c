import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.roi_pool import roi_pool

RECORDED = np.load(pathlib.Path(__file__).parent / "data" / "roi_torchvision.npz")


def pool(features, strides, boxes, levels, output_size):
    return jax.jit(roi_pool, static_argnums=(1, 4, 5))(
        [jnp.asarray(feature) for feature in features],
        tuple(strides),
        jnp.asarray(boxes),
        jnp.asarray(levels, jnp.int32),
        output_size,
        0,
    )


def round_half_away(x):
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def pool_by_loops(feature, stride, box, output_size):
    height, width, channels = feature.shape
    x0, y0, x1, y1 = (round_half_away(side / stride) for side in box)
    rows, columns = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
    result = np.zeros((output_size, output_size, channels))
    for p in range(output_size):
        top = y0 + p * rows // output_size
        bottom = y0 + -(-(p + 1) * rows // output_size)
        for q in range(output_size):
            left = x0 + q * columns // output_size
            right = x0 + -(-(q + 1) * columns // output_size)
            window = feature[
                np.clip(top, 0, height) : np.clip(bottom, 0, height),
                np.clip(left, 0, width) : np.clip(right, 0, width),
            ]
            if window.size:
                result[p, q] = window.max(axis=(0, 1))
    return result


@pytest.mark.parametrize("output_size", [1, 3, 7])
def test_equals_loops_over_bins_on_each_level(output_size):
    rng = np.random.default_rng(0)
    features = [rng.normal(size=size).astype(np.float32) for size in ((9, 12, 3), (5, 6, 3))]
    boxes = np.concatenate(
        [
            RECORDED["boxes"],
            rng.uniform(-20, 60, size=(20, 4)),
            [[-1e6, -1e6, 1e6, 1e6], [1e6, 1e6, 2e6, 2e6]],
        ]
    ).astype(np.float32)
    levels = np.arange(len(boxes)) % 2
    expected = [
        pool_by_loops(features[level], (4, 8)[level], box, output_size)
        for box, level in zip(boxes, levels, strict=True)
    ]
    pooled = pool(features, (4, 8), boxes, levels, output_size)
    np.testing.assert_array_equal(pooled, np.asarray(expected, np.float32))


def test_equals_torchvision_forward_and_in_the_gradient():
    boxes, levels = RECORDED["boxes"], np.zeros(len(RECORDED["boxes"]))
    stride, output_size = int(RECORDED["stride"]), int(RECORDED["output_size"])

    def pooled_of(feature):
        return pool([feature], (stride,), boxes, levels, output_size)

    pooled, pull_back = jax.vjp(pooled_of, jnp.asarray(RECORDED["features"]))
    np.testing.assert_array_equal(pooled, RECORDED["pool"])
    (gradient,) = pull_back(jnp.asarray(RECORDED["cotangent"]))
    np.testing.assert_allclose(gradient, RECORDED["pool_gradient"], atol=1e-5)


def test_the_first_of_equal_maxima_takes_the_gradient():
    feature = np.array([[0, 0, 5], [0, 5, 0], [5, 0, 0]], np.float32)[..., None]
    box = np.array([[0, 0, 2, 2]], np.float32)
    gradient = jax.grad(lambda f: pool([f], (1,), box, [0], 1).sum())(jnp.asarray(feature))
    np.testing.assert_array_equal(gradient[..., 0], [[0, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_corners_round_half_away_from_zero():
    column = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 8, 1), np.float32)
    # 0.5 -> 1 and 2.5 -> 3 (half to even would be 0 and 2); 0.49999997 stays 0
    boxes = np.array([[0, 0.5, 0, 2.5], [0, -0.5, 0, 0.49999997]], np.float32)
    lowest = -pool([-column], (1,), boxes, [0, 0], 1)[:, 0, 0, 0]
    highest = pool([column], (1,), boxes, [0, 0], 1)[:, 0, 0, 0]
    np.testing.assert_array_equal(lowest, [1, 0])
    np.testing.assert_array_equal(highest, [3, 0])


def test_bins_end_where_whole_numbers_say():
    # 57 / 7 * 7 is more than 57 in float32: a rounded bin would reach the pixel beyond the box.
    feature = np.zeros((1, 70, 1), np.float32)
    feature[0, 57] = 1
    box = np.array([[0, 0, 56, 0]], np.float32)
    np.testing.assert_array_equal(pool([feature], (1,), box, [0], 7), 0)


def test_a_box_off_the_map_gives_zero_though_all_features_are_negative():
    feature = np.full((3, 3, 2), -1, np.float32)
    boxes = np.array([[50, 50, 60, 60], [-60, 0, -50, 2]], np.float32)
    np.testing.assert_array_equal(pool([feature], (1,), boxes, [0, 0], 2), 0)


def test_boxes_have_no_gradient():
    feature = np.random.default_rng(0).normal(size=(6, 6, 2)).astype(np.float32)
    boxes = jnp.array([[0.3, 0.4, 4.2, 5.1], [1.5, 2.5, 3.5, 4.5]])
    gradient = jax.grad(lambda b: (pool([feature], (1,), b, [0, 0], 3) ** 2).sum())(boxes)
    np.testing.assert_array_equal(gradient, 0)

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.roi_precise import roi_pool_precise

STRIDES = (4, 8)
BOXES = np.array(
    [
        [3.3, 5.1, 40.7, 30.2],
        [10.6, 2.4, 17.9, 33.3],
        [0.0, 0.0, 48.0, 36.0],
        [-9.3, -14.2, 12.4, 9.8],
        [-90.0, -80.0, -50.0, -40.0],
        [-300.0, -200.0, 340.0, 260.0],
        [20.3, 15.6, 20.9, 16.1],
        [12.0, 16.0, 36.0, 28.0],
    ]
)
WITHOUT_AREA = np.array([[14.0, 18.0, 14.0, 18.0], [8, 4, 20, 4], [30.0, 20.0, 18.0, 8.0]])


def make_features():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(*size, 2)) for size in ((9, 12), (5, 6))]


def pool(features, strides, boxes, levels, output_size):
    return jax.jit(roi_pool_precise, static_argnums=(1, 4, 5))(
        [jnp.asarray(feature) for feature in features],
        tuple(strides),
        jnp.asarray(boxes),
        jnp.asarray(levels, jnp.int32),
        output_size,
        0,
    )


def sum_of_hats(feature, y, x):
    height, width, _ = feature.shape
    hat_y = np.maximum(0, 1 - np.abs(y - np.arange(height)))
    hat_x = np.maximum(0, 1 - np.abs(x - np.arange(width)))
    return np.einsum("y,x,yxc->c", hat_y, hat_x, feature)


def cut_at_whole_numbers(start, end, extent):
    inside = range(max(math.floor(start), -2) + 1, min(math.ceil(end), extent + 2))
    return [start, *inside, end]


def precise_by_cells(feature, stride, box, output_size):
    """Between whole numbers the interpolant is bilinear: its mean is its value in the middle."""
    height, width, channels = feature.shape
    x0, y0, x1, y1 = box / stride
    ys, xs = np.linspace(y0, y1, output_size + 1), np.linspace(x0, x1, output_size + 1)
    result = np.zeros((output_size, output_size, channels))
    for p in range(output_size):
        cuts_y = cut_at_whole_numbers(ys[p], ys[p + 1], height)
        for q in range(output_size):
            cuts_x = cut_at_whole_numbers(xs[q], xs[q + 1], width)
            for top, bottom in itertools.pairwise(cuts_y):
                for left, right in itertools.pairwise(cuts_x):
                    middle = sum_of_hats(feature, (top + bottom) / 2, (left + right) / 2)
                    result[p, q] += (bottom - top) * (right - left) * middle
            result[p, q] /= (ys[p + 1] - ys[p]) * (xs[q + 1] - xs[q])
    return result


@pytest.mark.parametrize("output_size", [1, 3])
def test_equals_the_exact_integral_on_each_level(output_size):
    features, levels = make_features(), np.arange(len(BOXES)) % 2
    expected = [
        precise_by_cells(features[level], STRIDES[level], box, output_size)
        for box, level in zip(BOXES, levels, strict=True)
    ]
    with jax.enable_x64(True):
        pooled = pool(features, STRIDES, BOXES, levels, output_size)
        np.testing.assert_allclose(pooled, expected, atol=1e-12)


def test_a_narrow_bin_reads_the_interpolant_in_float32():
    features = [feature.astype(np.float32) for feature in make_features()]
    box = np.array([[22.0, 10.0, 22.001, 10.001]], np.float32)
    expected = sum_of_hats(features[0], 2.5, 5.5)
    np.testing.assert_allclose(pool(features, STRIDES, box, [0], 1)[0, 0, 0], expected, atol=1e-3)
    constant = [np.ones_like(feature) for feature in features]
    np.testing.assert_allclose(pool(constant, STRIDES, box, [0], 1), 1, atol=1e-6)


def test_boxes_without_area_give_zero_and_a_finite_gradient():
    features = [jnp.asarray(feature, jnp.float32) for feature in make_features()]
    boxes, levels = jnp.asarray(WITHOUT_AREA, jnp.float32), [0, 1, 0]
    np.testing.assert_array_equal(pool(features, STRIDES, boxes, levels, 3), 0)
    gradients = jax.grad(lambda f, b: pool(f, STRIDES, b, levels, 3).sum(), (0, 1))(features, boxes)
    assert all(np.isfinite(gradient).all() for gradient in jax.tree.leaves(gradients))


def test_the_gradient_in_the_boxes_is_continuous_over_whole_pixels():
    features = make_features()[:1]
    with jax.enable_x64(True):

        def gradient(x0):
            box = jnp.array([[x0, 7.3, 29.7, 26.9]])
            return jax.grad(lambda b: (pool(features, (4,), b, [0], 2) ** 2).sum())(box)

        before, at, after = (gradient(8.0 + shift) for shift in (-1e-7, 0.0, 1e-7))
        assert np.abs(at).min() > 1e-4
        np.testing.assert_allclose(before, at, atol=1e-6)
        np.testing.assert_allclose(after, at, atol=1e-6)

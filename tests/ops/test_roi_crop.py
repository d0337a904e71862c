import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.roi_crop import crop_and_resize, roi_warp

STRIDES = (4, 8)
BOXES = np.array(
    [
        [3.3, 5.1, 40.7, 30.2],
        [10.6, 2.4, 17.9, 33.3],
        [0.0, 0.0, 48.0, 36.0],
        [-9.3, -14.2, 12.4, 9.8],
        [38.1, 27.7, 61.3, 50.9],
        [-90.0, -80.0, -50.0, -40.0],
        [-1e6, -1e6, 1e6, 1e6],
        [14.0, 18.0, 14.0, 18.0],
        [30.0, 20.0, 18.0, 8.0],
    ]
)


def make_features():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(*size, 2)) for size in ((9, 12), (5, 6))]


def pool(op, features, strides, boxes, levels, output_size, sampling_ratio):
    return jax.jit(op, static_argnums=(1, 4, 5))(
        [jnp.asarray(feature) for feature in features],
        tuple(strides),
        jnp.asarray(boxes),
        jnp.asarray(levels, jnp.int32),
        output_size,
        sampling_ratio,
    )


def sum_of_hats(feature, y, x):
    height, width, _ = feature.shape
    hat_y = np.maximum(0, 1 - np.abs(y - np.arange(height)))
    hat_x = np.maximum(0, 1 - np.abs(x - np.arange(width)))
    return np.einsum("y,x,yxc->c", hat_y, hat_x, feature)


def crop_by_loops(feature, stride, box, side):
    """tf.image.crop_and_resize, bilinear, extrapolation value 0, as its documentation says."""
    height, width, channels = feature.shape
    x0, x1 = box[[0, 2]] / (width * stride)
    y0, y1 = box[[1, 3]] / (height * stride)
    crop = np.zeros((side, side, channels))
    for i in range(side):
        for j in range(side):
            if side > 1:
                y = y0 * (height - 1) + i * (y1 - y0) * (height - 1) / (side - 1)
                x = x0 * (width - 1) + j * (x1 - x0) * (width - 1) / (side - 1)
            else:
                y, x = 0.5 * (y0 + y1) * (height - 1), 0.5 * (x0 + x1) * (width - 1)
            if 0 <= y <= height - 1 + 1e-9 and 0 <= x <= width - 1 + 1e-9:
                crop[i, j] = sum_of_hats(feature, min(y, height - 1), min(x, width - 1))
    return crop


def warp_by_loops(feature, stride, box, side):
    x0, y0, x1, y1 = box / stride
    warped = np.zeros((side, side, feature.shape[2]))
    for i in range(side):
        for j in range(side):
            y = y0 + (i + 0.5) / side * (y1 - y0)
            x = x0 + (j + 0.5) / side * (x1 - x0)
            warped[i, j] = sum_of_hats(feature, y, x)
    return warped


def max_pool(values, size):
    pooled = np.zeros((len(values) // size, len(values) // size, values.shape[2]))
    for p in range(len(pooled)):
        for q in range(len(pooled)):
            window = values[p * size : (p + 1) * size, q * size : (q + 1) * size]
            pooled[p, q] = window.max(axis=(0, 1))
    return pooled


@pytest.mark.parametrize(("output_size", "sampling_ratio"), [(3, 2), (4, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize(
    ("op", "by_loops"), [(crop_and_resize, crop_by_loops), (roi_warp, warp_by_loops)]
)
def test_equals_loops_over_samples_on_each_level(op, by_loops, output_size, sampling_ratio):
    features, levels = make_features(), np.arange(len(BOXES)) % 2
    expected = [
        max_pool(
            by_loops(features[level], STRIDES[level], box, output_size * sampling_ratio),
            sampling_ratio,
        )
        for box, level in zip(BOXES, levels, strict=True)
    ]
    with jax.enable_x64(True):
        pooled = pool(op, features, STRIDES, BOXES, levels, output_size, sampling_ratio)
        np.testing.assert_allclose(pooled, expected, atol=1e-9)


def test_crop_of_the_whole_image_at_the_maps_size_is_the_map():
    feature = np.random.default_rng(0).normal(size=(13, 13, 2)).astype(np.float32)
    box = np.array([[0, 0, 13 * 16, 13 * 16]], np.float32)
    crop = pool(crop_and_resize, [feature], (16,), box, [0], 13, 1)[0]
    np.testing.assert_allclose(crop, feature, atol=1e-5)


def test_crop_of_a_box_that_ends_with_the_image_reads_its_last_pixel():
    sizes = range(2, 40)  # one level each: rounding differs from size to size
    features = [np.ones((size, size, 1), np.float32) for size in sizes]
    boxes = np.array([[0, 0, size * 16, size * 16] for size in sizes], np.float32)
    strides, levels = (16,) * len(sizes), np.arange(len(sizes))
    np.testing.assert_allclose(
        pool(crop_and_resize, features, strides, boxes, levels, 2, 1), 1, atol=1e-4
    )
    gradient = jax.grad(
        lambda boxes: pool(crop_and_resize, features, strides, boxes, levels, 2, 1).sum()
    )(boxes)
    np.testing.assert_allclose(gradient, 0, atol=1e-4)  # a constant has no slope


def test_crop_off_the_map_is_zero_and_zero_wins_over_negative_features():
    feature = np.full((4, 4, 1), -1, np.float32)
    box = np.array([[-16, -16, 16, 16]], np.float32)  # half of it lies off the map
    crop = pool(crop_and_resize, [feature], (4,), box, [0], 1, 2)
    np.testing.assert_array_equal(crop, 0)
    inside = np.array([[0, 0, 16, 16]], np.float32)
    np.testing.assert_allclose(
        pool(crop_and_resize, [feature], (4,), inside, [0], 1, 2), -1, atol=1e-6
    )


@pytest.mark.parametrize("op", [crop_and_resize, roi_warp])
def test_refuses_adaptive_sampling_in_one_line(op):
    with pytest.raises(ValueError, match=rf"^{op.__name__} needs .* at least 1, not 0$"):
        op([jnp.ones((4, 4, 1))], (4,), jnp.ones((1, 4)), jnp.zeros(1, jnp.int32), 7, 0)

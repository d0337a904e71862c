import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.roi_align import roi_align, roi_align_unaligned

RECORDED = np.load(pathlib.Path(__file__).parent / "data" / "roi_torchvision.npz")
OPS = {True: roi_align, False: roi_align_unaligned}

STRIDES = (4, 8)
SIZES = ((9, 12), (5, 6))
BOXES = np.array(
    [
        [3.3, 5.1, 40.7, 30.2],
        [10.6, 2.4, 17.9, 33.3],
        [-9.3, -14.2, 12.4, 9.8],
        [-90.0, -80.0, -50.0, -40.0],
        [-300.0, -200.0, 340.0, 260.0],
        [20.3, 15.6, 20.9, 16.1],
        [14.0, 18.0, 14.0, 18.0],
        [30.0, 20.0, 18.0, 8.0],
    ]
)


def make_features(sizes=SIZES, channels=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(*size, channels)) for size in sizes]


def pool(op, features, strides, boxes, levels, output_size, sampling_ratio):
    return jax.jit(op, static_argnums=(1, 4, 5))(
        [jnp.asarray(feature) for feature in features],
        tuple(strides),
        jnp.asarray(boxes),
        jnp.asarray(levels, jnp.int32),
        output_size,
        sampling_ratio,
    )


def interpolate(feature, y, x):
    height, width, channels = feature.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = y - y0, x - x0
    top = feature[y0, x0] * (1 - dx) + feature[y0, x1] * dx
    bottom = feature[y1, x0] * (1 - dx) + feature[y1, x1] * dx
    return top * (1 - dy) + bottom * dy


def align_by_loops(feature, stride, box, output_size, sampling_ratio, aligned):
    x0, y0, x1, y1 = box / stride - (0.5 if aligned else 0.0)
    height, width = y1 - y0, x1 - x0
    if not aligned:
        height, width = max(height, 1), max(width, 1)
    count_y = sampling_ratio or max(math.ceil(height / output_size), 0)
    count_x = sampling_ratio or max(math.ceil(width / output_size), 0)
    result = np.zeros((output_size, output_size, feature.shape[2]))
    for p in range(output_size):
        for q in range(output_size):
            for i in range(count_y):
                for j in range(count_x):
                    y = y0 + (p + (i + 0.5) / count_y) * height / output_size
                    x = x0 + (q + (j + 0.5) / count_x) * width / output_size
                    result[p, q] += interpolate(feature, y, x) / (count_y * count_x)
    return result


@pytest.mark.parametrize("sampling_ratio", [0, 1, 3])
@pytest.mark.parametrize("aligned", [True, False])
def test_equals_loops_over_samples_on_each_level(aligned, sampling_ratio):
    features, levels = make_features(), np.arange(len(BOXES)) % 2
    expected = [
        align_by_loops(features[level], STRIDES[level], box, 3, sampling_ratio, aligned)
        for box, level in zip(BOXES, levels, strict=True)
    ]
    with jax.enable_x64(True):
        pooled = pool(OPS[aligned], features, STRIDES, BOXES, levels, 3, sampling_ratio)
        np.testing.assert_allclose(pooled, expected, atol=1e-12)


@pytest.mark.parametrize("sampling_ratio", [2, 0])
@pytest.mark.parametrize("aligned", [True, False])
def test_equals_torchvision_forward_and_in_the_gradient(aligned, sampling_ratio):
    name = f"align{'' if aligned else '_unaligned'}_{sampling_ratio}"
    stride, output_size = int(RECORDED["stride"]), int(RECORDED["output_size"])
    boxes, levels = RECORDED["boxes"], np.zeros(len(RECORDED["boxes"]))

    def pooled_of(feature):
        return pool(OPS[aligned], [feature], (stride,), boxes, levels, output_size, sampling_ratio)

    pooled, pull_back = jax.vjp(pooled_of, jnp.asarray(RECORDED["features"]))
    np.testing.assert_allclose(pooled, RECORDED[name], atol=1e-5)
    (gradient,) = pull_back(jnp.asarray(RECORDED["cotangent"]))
    expected = RECORDED[f"{name}_gradient"]
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("aligned", "shift"), [(True, 0.5), (False, 0.0)])
def test_a_ramp_is_read_at_the_bin_centres(aligned, shift):
    y, x = np.mgrid[:20, :30].astype(np.float32)
    ramp = np.stack([y, x], -1)
    box = np.array([[8.0, 16.0, 64.0, 44.0]], np.float32)  # (2, 4) to (16, 11) on the map
    pooled = pool(OPS[aligned], [ramp], (4,), box, [0], 7, 2)[0]
    np.testing.assert_allclose(pooled[:, 0, 0], 4 + np.arange(7) + 0.5 - shift, atol=1e-5)
    np.testing.assert_allclose(pooled[0, :, 1], 2 + 2 * np.arange(7) + 1 - shift, atol=1e-5)


def test_adaptive_sampling_of_a_huge_box_visits_the_map_alone():
    features = [np.ones((4, 5, 1), np.float32)]
    box = np.array([[-1e6, -1e6, 1e6, 1e6]], np.float32)
    pooled = np.asarray(pool(roi_align, features, (4,), box, [0], 3, 0))[0, :, :, 0]
    assert pooled[1, 1] > 0
    assert np.count_nonzero(pooled) == 1
    # A bin is 5e5 / 3 pixels wide, one sample a pixel: those from -1 to 4 and from -1 to 5 count,
    # five or six and six or seven of them.
    samples = pooled[1, 1] * math.ceil(5e5 / 3) ** 2
    assert 5 * 6 - 1 < samples < 6 * 7 + 1


def test_adaptive_counts_are_each_axis_own():
    rng = np.random.default_rng(1)
    feature = rng.normal(size=(20, 20, 1))
    box = np.array([0.0, 4.0, 56.0, 12.0])  # 14 x 2 pixels of the map, bins of 7 x 1
    expected = align_by_loops(feature, 4, box, 2, 0, True)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            pool(roi_align, [feature], (4,), box[None], [0], 2, 0)[0], expected, atol=1e-12
        )
    narrow = align_by_loops(feature, 4, box, 2, 1, True)
    assert np.abs(expected - narrow).max() > 0.1  # one sample along both axes is something else

"""What holds for every RoI op, and the choice of the level."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops.roi import assign_levels
from jaxrcnn.ops.roi_align import roi_align, roi_align_unaligned
from jaxrcnn.ops.roi_crop import crop_and_resize, roi_warp
from jaxrcnn.ops.roi_pool import roi_pool
from jaxrcnn.ops.roi_precise import roi_pool_precise

WITH_BOX_GRADIENT = {
    "align": (roi_align, 2),
    "align_adaptive": (roi_align, 0),
    "align_unaligned": (roi_align_unaligned, 2),
    "crop_and_resize": (crop_and_resize, 2),
    "warp": (roi_warp, 2),
    "precise": (roi_pool_precise, 0),
}
ALL = {**WITH_BOX_GRADIENT, "pool": (roi_pool, 0)}
ops = pytest.mark.parametrize("name", ALL)
differentiable_ops = pytest.mark.parametrize("name", WITH_BOX_GRADIENT)

RECORDED = np.load(pathlib.Path(__file__).parent / "data" / "boxes_torchvision.npz")
STRIDES = (4, 8, 16)
SIZES = ((9, 11), (5, 6), (3, 3))
OUTPUT_SIZE = 3
BOXES = np.array(
    [
        [3.31, 5.17, 30.73, 30.29],
        [10.61, 2.47, 17.93, 33.37],
        [-9.31, -14.23, 22.41, 19.83],
        [5.57, 7.13, 28.19, 21.71],
        [1.03, 12.59, 39.67, 35.11],
    ]
)
LEVELS = np.array([0, 1, 0, 2, 1], np.int32)


def make_features(seed=0, dtype=None):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=(*size, 2)), dtype) for size in SIZES]


def pool(name, features, boxes, levels=LEVELS, strides=STRIDES):
    op, sampling_ratio = ALL[name]
    return op(features, strides, boxes, levels, OUTPUT_SIZE, sampling_ratio)


def loss_of(name):
    """A curved loss that weighs every output differently."""
    weights = np.random.default_rng(7).normal(size=(len(BOXES), OUTPUT_SIZE, OUTPUT_SIZE, 2))
    return lambda features, boxes: jnp.sum(weights * jnp.sin(pool(name, features, boxes)))


def inner(a, b):
    return sum(np.sum(x * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (224, 224, 2),  # P4
        (112, 448, 2),
        (223.9, 223.9, 1),
        (112, 112, 1),
        (111.9, 111.9, 0),
        (448, 448, 3),
        (1, 1, 0),
        (0, 50, 0),
        (-10, 20, 0),
        (-10, -20, 0),
        (1e6, 1e6, 3),
        (np.nan, 5, 0),
        (np.inf, 5, 3),
    ],
)
def test_level_is_the_fpn_papers(width, height, level):
    boxes = jnp.array([[30, 20, 30 + width, 20 + height]], jnp.float32)
    levels = jax.jit(assign_levels, static_argnums=(1, 2))(boxes, 4, 2)
    assert levels.dtype == jnp.int32
    np.testing.assert_array_equal(levels, [level])


def test_level_honours_first_level_and_canonical_size():
    boxes = jnp.array([[0, 0, 100, 100], [0, 0, 200, 200], [0, 0, 400, 400]], jnp.float32)
    np.testing.assert_array_equal(assign_levels(boxes, 3, 3, 100.0, 4), [1, 2, 2])
    np.testing.assert_array_equal(assign_levels(boxes, 1, 4), [0, 0, 0])


@ops
def test_each_roi_is_pooled_from_its_own_level_alone(name):
    features, boxes = make_features(), jnp.asarray(BOXES, jnp.float32)
    pooled = jax.jit(lambda f, b: pool(name, f, b))(features, boxes)
    for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
        alone = jax.jit(pool, static_argnums=(0, 4))(
            name, [feature], boxes, jnp.zeros(len(BOXES), jnp.int32), (stride,)
        )
        chosen = level == LEVELS
        np.testing.assert_allclose(pooled[chosen], alone[chosen], atol=1e-6)


@ops
def test_under_vmap_each_image_is_its_own(name):
    features = [jnp.stack(maps) for maps in zip(make_features(0), make_features(1), strict=True)]
    boxes = jnp.asarray(np.stack([BOXES, BOXES * [0.3, 0.4, 0.5, 0.6]]), jnp.float32)
    levels = jnp.stack([LEVELS, LEVELS[::-1]])

    @jax.jit
    def value_and_gradients(features, boxes, levels):
        def loss(features, boxes):
            return jnp.sum(pool(name, features, boxes, levels) ** 2)

        return jax.value_and_grad(loss, (0, 1))(features, boxes)

    batched = jax.jit(jax.vmap(value_and_gradients))(features, boxes, levels)
    for image in range(2):
        own = value_and_gradients([f[image] for f in features], boxes[image], levels[image])
        for ours, expected in zip(jax.tree.leaves(batched), jax.tree.leaves(own), strict=True):
            np.testing.assert_allclose(ours[image], expected, rtol=1e-4, atol=1e-4)


@ops
def test_gradient_in_the_features_equals_finite_differences(name):
    with jax.enable_x64(True):
        features, loss = make_features(), jax.jit(loss_of(name))
        gradient = jax.jit(jax.grad(loss))(features, BOXES)
        for seed in range(1, 5):
            direction, step = make_features(seed), 1e-6
            there, back = (
                jax.tree.map(lambda f, d, s=shift: f + s * d, features, direction)
                for shift in (step, -step)
            )
            slope = (loss(there, BOXES) - loss(back, BOXES)) / (2 * step)
            assert abs(slope) > 1e-3
            np.testing.assert_allclose(inner(gradient, direction), slope, rtol=1e-6)


@differentiable_ops
def test_gradient_in_the_boxes_equals_finite_differences(name):
    with jax.enable_x64(True):
        features, loss, step = make_features(), jax.jit(loss_of(name)), 1e-6
        gradient = jax.jit(jax.grad(loss, 1))(features, BOXES)
        slopes = np.zeros_like(BOXES)
        for place in np.ndindex(*BOXES.shape):
            shift = np.zeros_like(BOXES)
            shift[place] = step
            slopes[place] = (loss(features, BOXES + shift) - loss(features, BOXES - shift)) / (
                2 * step
            )
        assert np.abs(slopes).max() > 1e-2
        np.testing.assert_allclose(gradient, slopes, atol=1e-7)


@differentiable_ops
def test_hessian_vector_product_equals_finite_differences_of_the_gradient(name):
    with jax.enable_x64(True):
        primals = make_features(), jnp.asarray(BOXES)
        box_direction = np.random.default_rng(2).normal(size=BOXES.shape)
        tangents, step = (make_features(3), jnp.asarray(box_direction)), 1e-6
        gradient = jax.jit(jax.grad(loss_of(name), (0, 1)))
        product = jax.jit(lambda p, t: jax.jvp(gradient, p, t)[1])(primals, tangents)
        there, back = (
            gradient(*jax.tree.map(lambda p, t, s=shift: p + s * t, primals, tangents))
            for shift in (step, -step)
        )
        expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), there, back)
        for ours, slope in zip(jax.tree.leaves(product), jax.tree.leaves(expected), strict=True):
            assert np.abs(slope).max() > 1e-3
            np.testing.assert_allclose(ours, slope, atol=1e-6)


@ops
def test_boxes_behind_a_stopped_gradient_leave_that_of_the_features(name):
    loss = loss_of(name)
    features, boxes = make_features(dtype=jnp.float32), jnp.asarray(BOXES, jnp.float32)
    stopped = jax.jit(jax.grad(lambda f, b: loss(f, jax.lax.stop_gradient(b)), (0, 1)))
    of_features, of_boxes = stopped(features, boxes)
    np.testing.assert_array_equal(of_boxes, 0)
    for ours, expected in zip(of_features, jax.jit(jax.grad(loss))(features, boxes), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


GARBAGE = np.array(
    [
        [np.nan, np.nan, np.nan, np.nan],
        [0, np.nan, 5, 5],
        [np.inf, -np.inf, np.inf, np.inf],
        [-np.inf, 0, np.inf, 1e38],
        [3, 3, 3, 3],
        [20, 20, 10, 10],
        [-1e30, 5, -1e30, 9],
        [1e6, 1e6, 1e6 + 1, 1e6 + 1],
        [0, 0, 1e-30, 1e-30],
    ],
    np.float32,
)


@ops
def test_garbage_rows_leave_the_others_and_every_gradient_alone(name):
    features, boxes = make_features(dtype=jnp.float32), jnp.asarray(BOXES, jnp.float32)
    garbage_levels = np.array([0, 1, 2, 0, 1, -7, 99, 2_000_000_000, 0], np.int32)
    padded = jnp.concatenate([boxes, GARBAGE])
    levels = jnp.concatenate([jnp.asarray(LEVELS), garbage_levels])

    def masked_loss(features, boxes, levels):
        pooled = pool(name, features, boxes, levels)
        return jnp.sum(jnp.sin(pooled[: len(BOXES)])), pooled

    gradient = jax.jit(jax.grad(masked_loss, (0, 1), has_aux=True))
    (of_features, of_boxes), pooled = gradient(features, padded, levels)
    (features_alone, boxes_alone), alone = gradient(features, boxes, LEVELS)
    assert np.isfinite(pooled).all()
    np.testing.assert_allclose(pooled[: len(BOXES)], alone, atol=1e-6)
    for ours, expected in zip(of_features, features_alone, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_allclose(of_boxes[: len(BOXES)], boxes_alone, atol=1e-5)
    np.testing.assert_array_equal(of_boxes[len(BOXES) :], 0)


@ops
def test_gradients_are_finite_where_garbage_enters_the_loss(name):
    features, boxes = make_features(dtype=jnp.float32), jnp.asarray(GARBAGE)
    levels = np.arange(len(GARBAGE), dtype=np.int32) % 3
    gradients = jax.jit(jax.grad(lambda f, b: jnp.sum(pool(name, f, b, levels) ** 2), (0, 1)))(
        features, boxes
    )
    assert all(np.isfinite(gradient).all() for gradient in jax.tree.leaves(gradients))


@ops
def test_bfloat16_features_are_summed_in_float32(name):
    features = make_features(dtype=jnp.bfloat16)
    boxes = jnp.asarray(BOXES, jnp.float32)
    pooled = jax.jit(lambda f, b: pool(name, f, b))(features, boxes)
    exact = jax.jit(lambda f, b: pool(name, f, b))(
        [feature.astype(jnp.float32) for feature in features], boxes
    )
    assert pooled.dtype == jnp.bfloat16
    np.testing.assert_array_equal(pooled, exact.astype(jnp.bfloat16))


@ops
def test_bfloat16_gradients_of_many_rois_add_up_in_float32(name):
    # 512 equal RoIs: in bfloat16 a sum of equal numbers stalls at 256 of them.
    boxes = jnp.tile(jnp.asarray(BOXES[:1], jnp.float32), (512, 1))
    levels = jnp.zeros(512, jnp.int32)

    def loss(features):
        return jnp.sum(pool(name, features, boxes, levels).astype(jnp.float32))

    of_bfloat16 = jax.jit(jax.grad(loss))(make_features(dtype=jnp.bfloat16))[0]
    rounded = [f.astype(jnp.bfloat16).astype(jnp.float32) for f in make_features()]
    exact = jax.jit(jax.grad(loss))(rounded)[0]
    np.testing.assert_allclose(of_bfloat16.astype(jnp.float32), exact, rtol=2**-8, atol=1e-3)


@ops
def test_no_rois_give_an_empty_result_and_no_gradient(name):
    def loss(features):
        pooled = pool(name, features, jnp.zeros((0, 4)), jnp.zeros(0, jnp.int32))
        assert pooled.shape == (0, OUTPUT_SIZE, OUTPUT_SIZE, 2)
        return pooled.sum()

    for gradient in jax.jit(jax.grad(loss))(make_features(dtype=jnp.float32)):
        np.testing.assert_array_equal(gradient, 0)


def test_levels_are_those_of_torchvision():
    levels = jax.jit(assign_levels, static_argnums=(1, 2))(RECORDED["squares"], 4, 2)
    np.testing.assert_array_equal(levels, RECORDED["levels"])
    assert set(RECORDED["levels"].tolist()) == {0, 1, 2, 3}

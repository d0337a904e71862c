import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops import boxes

RECORDED = np.load(pathlib.Path(__file__).parent / "data" / "boxes_torchvision.npz")
UNIT = (1.0, 1.0, 1.0, 1.0)
WEIGHTS = (10.0, 8.0, 5.0, 4.0)

DEGENERATE = np.array(
    [
        [5, 5, 5, 5],  # a point
        [0, 0, 0, 0],  # padding
        [5, 1, 5, 9],  # no width
        [1, 5, 9, 5],  # no height
        [9, 9, 1, 1],  # inverted
        [5, 5, 5 + 1e-20, 6],
        [0, 0, 1e-30, 1e-30],
        [0, 0, 1e-12, 1e-12],
        [4, 4, 5, 5],  # one pixel
        [0, 0, 1e4, 1e4],
    ],
    np.float32,
)


def random_boxes(seed, count, size=100.0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, size, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, size, (count, 2))], axis=1)


def numpy_parts(a, b):
    """Intersection, union and the hull's sides of pairs of boxes."""
    overlap = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = np.prod(np.maximum(overlap, 0), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    hull = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    return intersection, union - intersection, hull


def numpy_diou(a, b):
    intersection, union, hull = numpy_parts(a, b)
    centres = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return intersection / union - np.sum(centres**2, axis=-1) / np.sum(hull**2, axis=-1)


def numpy_aspect(a, b):
    """The aspect term v of CIoU and its factor alpha."""
    angles = [np.arctan((x[..., 2] - x[..., 0]) / (x[..., 3] - x[..., 1])) for x in (a, b)]
    aspect = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    intersection, union, _ = numpy_parts(a, b)
    return aspect, aspect / (1 - intersection / union + aspect)


def finite_differences(function, x, step=1e-6):
    """Derivative of the sum of a function of (N, 4) boxes, entry by entry."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        slopes[place] = np.sum(np.asarray(function(x + shift)) - np.asarray(function(x - shift)))
    return slopes / (2 * step)


def gradients(function, *arguments):
    def total(*args):
        return jnp.sum(function(*args))

    return jax.jit(jax.grad(total, argnums=tuple(range(len(arguments)))))(*arguments)


def test_area_by_hand():
    given = np.array(
        [[1, 2, 4, 8], [0, 0, 0, 5], [4, 0, 2, 5], [4, 5, 2, 0], [3, 3, 4, 4]], np.float32
    )
    assert jax.jit(boxes.area)(given).tolist() == [18, 0, 0, 0, 1]


def test_clip_cuts_at_a_traced_size():
    given = np.array([[-5, -5, 700, 500], [10, 20, 30, 40], [650, 490, 700, 500]], np.float32)
    clipped = jax.jit(boxes.clip)(given, np.array([480, 640], np.int32))
    expected = [[0, 0, 640, 480], [10, 20, 30, 40], [640, 480, 640, 480]]
    assert clipped.tolist() == expected
    assert clipped.dtype == jnp.float32
    assert boxes.clip(jnp.asarray(given), (480, 640)).tolist() == expected


def test_clipped_sides_have_no_gradient():
    given = np.array([[-5, 20, 700, 40]], np.float32)
    (slopes,) = gradients(lambda x: boxes.clip(x, (480, 640)), given)
    assert slopes.tolist() == [[0, 1, 0, 1]]


def test_iou_by_hand():
    a = np.array([[0, 0, 2, 2]], np.float32)
    b = np.array(
        [
            [0, 0, 2, 2],
            [1, 0, 3, 2],
            [0.5, 0.5, 1.5, 1.5],
            [2, 0, 4, 2],  # touching
            [1, 1, 1, 1],  # a point inside
            [2, 2, 0, 0],  # inverted
            [8, 8, 9, 9],
        ],
        np.float32,
    )
    expected = [[1, 1 / 3, 1 / 4, 0, 0, 0, 0]]
    np.testing.assert_allclose(jax.jit(boxes.iou_matrix)(a, b), expected, rtol=1e-6)


def test_iou_matrix_equals_numpy_pair_by_pair():
    a, b = random_boxes(0, 7), random_boxes(1, 5)
    expected = np.zeros((7, 5))
    for i, j in np.ndindex(7, 5):
        intersection, union, _ = numpy_parts(a[i], b[j])
        expected[i, j] = intersection / union
    assert (expected > 0).any()
    got = jax.jit(boxes.iou_matrix)(a.astype(np.float32), b.astype(np.float32))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_iou_of_a_box_with_itself_is_one_at_any_size():
    for side in (1e-3, 1.0, 1e4, 1e6):
        box = np.array([[0, 0, side, side]], np.float32)
        assert jax.jit(boxes.iou_matrix)(box, box).item() == 1


def test_coverage_is_over_the_first_boxs_area():
    a = np.array([[0, 0, 4, 4], [2, 2, 2, 4]], np.float32)
    b = np.array([[0, 0, 8, 8], [2, 0, 4, 4], [3, 3, 100, 100], [9, 9, 10, 10]], np.float32)
    expected = [[1, 1 / 2, 1 / 16, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(jax.jit(boxes.coverage_matrix)(a, b), expected, rtol=1e-6)


def test_generalized_iou_by_hand():
    a = np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 2]], np.float32)
    b = np.array([[1, 1, 3, 3], [3, 0, 4, 1], [0, 0, 2, 2]], np.float32)
    expected = [1 / 7 - 2 / 9, -2 / 4, 1]
    np.testing.assert_allclose(jax.jit(boxes.generalized_iou)(a, b), expected, rtol=1e-5)


def test_distance_iou_by_hand():
    a = np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 4]], np.float32)
    b = np.array([[1, 1, 3, 3], [3, 0, 4, 1], [1, 1, 3, 3]], np.float32)
    expected = [1 / 7 - 2 / 18, -9 / 17, 1 / 4]
    np.testing.assert_allclose(jax.jit(boxes.distance_iou)(a, b), expected, rtol=1e-5)


def test_complete_iou_by_hand():
    a = np.array([[0, 0, 2, 2], [0, 0, 2, 2]], np.float32)
    b = np.array([[0, 0, 4, 2], [1, 1, 3, 3]], np.float32)
    aspect = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    alpha = aspect / (1 - 1 / 2 + aspect)
    expected = [1 / 2 - 1 / 20 - alpha * aspect, 1 / 7 - 2 / 18]
    np.testing.assert_allclose(jax.jit(boxes.complete_iou)(a, b), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["generalized_iou", "distance_iou"])
def test_gradients_of_the_iou_family_are_those_of_finite_differences(name):
    a, b = random_boxes(2, 6), random_boxes(3, 6)
    with jax.enable_x64(True):
        function = jax.jit(getattr(boxes, name))
        to_a, to_b = gradients(function, a, b)
        np.testing.assert_allclose(to_a, finite_differences(lambda x: function(x, b), a), atol=1e-7)
        np.testing.assert_allclose(to_b, finite_differences(lambda x: function(a, x), b), atol=1e-7)
    assert np.abs(to_a).min() > 0


def test_complete_ious_gradient_holds_alpha_constant():
    a, b = random_boxes(2, 6), random_boxes(3, 6)
    _, alpha = numpy_aspect(a, b)

    def with_fixed_alpha(x):
        return numpy_diou(x, b) - alpha * numpy_aspect(x, b)[0]

    with jax.enable_x64(True):
        to_a, _ = gradients(boxes.complete_iou, a, b)
    np.testing.assert_allclose(to_a, finite_differences(with_fixed_alpha, a), atol=1e-7)


@pytest.mark.parametrize("name", ["generalized_iou", "distance_iou", "complete_iou"])
def test_degenerate_pairs_have_finite_ious_and_gradients(name):
    function = getattr(boxes, name)
    a = np.repeat(DEGENERATE, len(DEGENERATE), axis=0)
    b = np.tile(DEGENERATE, (len(DEGENERATE), 1))
    assert np.isfinite(jax.jit(function)(a, b)).all()
    for slopes in gradients(function, a, b):
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize("name", ["iou_matrix", "coverage_matrix"])
def test_degenerate_boxes_have_finite_matrices_and_gradients(name):
    function = getattr(boxes, name)
    assert np.isfinite(jax.jit(function)(DEGENERATE, DEGENERATE)).all()
    for slopes in gradients(function, DEGENERATE, DEGENERATE):
        assert np.isfinite(slopes).all()


def test_encode_by_hand():
    anchor = np.array([0, 0, 10, 20], np.float32)
    box = np.array([5, 10, 25, 15], np.float32)
    # Centres (5, 10) and (15, 12.5); sides (10, 20) and (20, 5).
    expected = [10 * 1.0, 8 * 0.125, 5 * math.log(2), 4 * math.log(0.25)]
    got = jax.jit(boxes.encode, static_argnums=2)(box, anchor, WEIGHTS)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_decode_by_hand():
    anchor = np.array([0, 0, 10, 20], np.float32)
    deltas = np.array([10 * 1.0, 8 * 0.125, 5 * math.log(2), 4 * math.log(0.25)], np.float32)
    got = jax.jit(boxes.decode, static_argnums=2)(deltas, anchor, WEIGHTS)
    np.testing.assert_allclose(got, [5, 10, 25, 15], rtol=1e-6)


def test_decode_undoes_encode():
    given, anchors = random_boxes(4, 50), random_boxes(5, 50)
    anchors[:, 2:] += 2.0  # no side is over 1000/16 times as long: the clamp is another test

    @jax.jit
    def there_and_back(x, anchors):
        return boxes.decode(boxes.encode(x, anchors, WEIGHTS), anchors, WEIGHTS)

    got = there_and_back(given.astype(np.float32), anchors.astype(np.float32))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, given, rtol=1e-4, atol=1e-3)


def test_decode_of_several_classes_takes_one_anchor_each():
    anchors = np.array([[[0, 0, 2, 2]], [[4, 4, 8, 8]]], np.float32)  # (S, 1, 4)
    deltas = np.zeros((2, 3, 4), np.float32)
    deltas[1, 2, 0] = 1
    got = jax.jit(boxes.decode, static_argnums=2)(deltas, anchors, UNIT)
    assert got.shape == (2, 3, 4)
    assert got[0].tolist() == [[0, 0, 2, 2]] * 3
    assert got[1].tolist() == [[4, 4, 8, 8], [4, 4, 8, 8], [8, 4, 12, 8]]


def test_decode_cuts_the_growth_of_a_side():
    anchor = np.array([[0, 0, 16, 16]], np.float32)
    deltas = np.array([[0, 0, 50, 1e30]], np.float32)
    (box,) = jax.jit(boxes.decode, static_argnums=2)(deltas, anchor, WEIGHTS)
    np.testing.assert_allclose(box, [-492, -492, 508, 508], rtol=1e-5)
    (slopes,) = gradients(lambda x: boxes.decode(x, anchor, WEIGHTS)[:, 2:], deltas)
    np.testing.assert_allclose(slopes, [[1.6, 2.0, 0, 0]], rtol=1e-5)


def test_encodes_gradients_are_those_of_finite_differences():
    given, anchors = random_boxes(6, 4), random_boxes(7, 4)
    with jax.enable_x64(True):
        encode = jax.jit(boxes.encode, static_argnums=2)
        to_box, to_anchor = gradients(lambda x, a: boxes.encode(x, a, WEIGHTS), given, anchors)
        by_box = finite_differences(lambda x: encode(x, anchors, WEIGHTS), given)
        by_anchor = finite_differences(lambda x: encode(given, x, WEIGHTS), anchors)
    np.testing.assert_allclose(to_box, by_box, atol=1e-6)
    np.testing.assert_allclose(to_anchor, by_anchor, atol=1e-6)
    assert np.abs(to_anchor).max() > 0.1


def test_decodes_gradients_are_those_of_finite_differences():
    deltas, anchors = np.random.default_rng(8).normal(size=(4, 4)), random_boxes(9, 4)
    scale = np.arange(1.0, 5.0)  # so that x0 and x1 do not cancel in the sum
    with jax.enable_x64(True):

        @jax.jit
        def decode(d, a):
            return scale * boxes.decode(d, a, WEIGHTS)

        to_deltas, to_anchor = gradients(decode, deltas, anchors)
        by_deltas = finite_differences(lambda x: decode(x, anchors), deltas)
        by_anchor = finite_differences(lambda x: decode(deltas, x), anchors)
    np.testing.assert_allclose(to_deltas, by_deltas, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(to_anchor, by_anchor, rtol=1e-6, atol=1e-5)


def test_a_side_of_no_length_is_encoded_as_one_pixel():
    anchor = np.array([0, 0, 10, 10], np.float32)
    thin = np.array([5, 1, 5, 9], np.float32)
    encode = jax.jit(boxes.encode, static_argnums=2)
    np.testing.assert_allclose(
        encode(thin, anchor, UNIT), [0, 0, math.log(0.1), math.log(0.8)], atol=1e-6
    )
    np.testing.assert_allclose(
        encode(anchor, thin, UNIT), [0, 0, math.log(10), math.log(1.25)], atol=1e-6
    )


def test_encode_and_decode_are_finite_on_degenerate_boxes_with_their_gradients():
    a = np.repeat(DEGENERATE, len(DEGENERATE), axis=0)
    b = np.tile(DEGENERATE, (len(DEGENERATE), 1))
    for function in (boxes.encode, boxes.decode):
        assert np.isfinite(jax.jit(function, static_argnums=2)(a, b, WEIGHTS)).all()
        for slopes in gradients(lambda x, y, f=function: f(x, y, WEIGHTS), a, b):
            assert np.isfinite(slopes).all()


def test_no_boxes_give_no_overlaps():
    nothing, some = np.zeros((0, 4), np.float32), np.ones((3, 4), np.float32)
    assert jax.jit(boxes.iou_matrix)(nothing, some).shape == (0, 3)
    assert jax.jit(boxes.coverage_matrix)(some, nothing).shape == (3, 0)
    assert jax.jit(boxes.encode, static_argnums=2)(nothing, nothing, UNIT).shape == (0, 4)


@pytest.mark.parametrize(("name", "weights"), [("rpn", UNIT), ("head", (10.0, 10.0, 5.0, 5.0))])
def test_the_coder_is_that_of_torchvision(name, weights):
    encode, decode = (jax.jit(f, static_argnums=2) for f in (boxes.encode, boxes.decode))
    encoded = encode(RECORDED["truth"], RECORDED["anchors"], weights)
    np.testing.assert_allclose(encoded, RECORDED[f"encoded_{name}"], rtol=1e-5, atol=1e-5)
    decoded = decode(RECORDED["deltas"], RECORDED["anchors"], weights)
    largest = np.abs(RECORDED[f"decoded_{name}"]).max(1, keepdims=True)  # of each box
    assert (np.abs(decoded - RECORDED[f"decoded_{name}"]) <= 1e-5 * largest + 1e-5).all()

"""The batch's door, by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import ModelConfig
from jaxrcnn.stages.inputs import check_images, clean, clean_proposals, normalise
from jaxrcnn.types import Batch, Proposals
from tests.tiny import make_batch


def test_pixels_are_normalised_and_padding_becomes_zero():
    config = ModelConfig(pixel_mean=(10.0, 20.0, 30.0), pixel_std=(2.0, 4.0, 5.0))
    images = np.full((2, 3, 4, 3), np.nan, np.float32)
    images[0, :2, :3] = (14, 12, 30)
    images[1, :3, :1] = (10, 24, 35)
    got = jax.jit(normalise, static_argnums=2)(images, np.array([[2, 3], [3, 1]]), config)
    expected = np.zeros((2, 3, 4, 3))
    expected[0, :2, :3] = (2, -2, 0)
    expected[1, :3, :1] = (0, 1, 1)
    np.testing.assert_array_equal(got, expected)


def test_bytes_and_floats_are_the_same_images():
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3), dtype=np.uint8)
    run = jax.jit(normalise, static_argnums=2)
    sizes = np.array([[2, 2]])
    as_float = run(images.astype(np.float32), sizes, ModelConfig())
    np.testing.assert_array_equal(run(images, sizes, ModelConfig()), as_float)


def test_garbage_in_padded_ground_truth_becomes_zero():
    batch = Batch(
        images=np.zeros((1, 2, 2, 3), np.uint8),
        image_sizes=np.array([[2, 2]]),
        image_index=np.array([0]),
        image_weights=np.ones(1, np.float32),
        boxes=np.array([[[1, 2, 3, 4], [5, 6, 7, 8], [np.nan] * 4]], np.float32),
        labels=np.array([[1, 2, 99]]),
        box_valid=np.array([[True, False, False]]),
        box_ignore=np.array([[False, True, False]]),
        box_weights=np.array([[0.5, np.nan, np.nan]], np.float32),
    )
    got = jax.jit(clean)(batch)
    np.testing.assert_array_equal(got.boxes, [[[1, 2, 3, 4], [5, 6, 7, 8], [0] * 4]])
    np.testing.assert_array_equal(got.labels, [[1, 2, 0]])
    np.testing.assert_array_equal(got.box_weights, [[0.5, 0, 0]])


def test_ground_truth_without_area_is_padding_and_nan_is_not():
    boxes = [[1, 2, 1, 4], [5, 6, 7, 8], [5, 6, 7, 5], [np.nan] * 4]
    batch = Batch(
        images=np.zeros((1, 2, 2, 3), np.uint8),
        image_sizes=np.array([[2, 2]]),
        image_index=np.array([0]),
        image_weights=np.ones(1, np.float32),
        boxes=np.array([boxes], np.float32),
        labels=np.array([[1, 2, 3, 1]]),
        box_valid=np.array([[True, True, False, True]]),
        box_ignore=np.array([[False, False, True, False]]),
        box_weights=np.ones((1, 4), np.float32),
    )
    got = jax.jit(clean)(batch)
    np.testing.assert_array_equal(got.box_valid, [[False, True, False, True]])
    np.testing.assert_array_equal(got.box_ignore, [[False] * 4])
    np.testing.assert_array_equal(got.labels, [[0, 2, 0, 1]])


def test_given_proposals_without_area_are_padding():
    given = Proposals(
        boxes=np.array([[[1, 2, 3, 4], [3, 0, 3, 5], [5, 5, 6, 4]]], np.float32),
        scores=np.array([[2.0, 1.0, 0.5]], np.float32),
        valid=np.ones((1, 3), bool),
    )
    got = jax.jit(clean_proposals)(given)
    np.testing.assert_array_equal(got.valid, [[True, False, False]])
    np.testing.assert_array_equal(got.scores, [[2.0, -np.inf, -np.inf]])


def test_garbage_in_padded_proposals_becomes_zero():
    given = Proposals(
        boxes=np.array([[[1, 2, 3, 4], [np.nan] * 4]], np.float32),
        scores=np.array([[-0.5, np.nan]], np.float32),
        valid=np.array([[True, False]]),
    )
    got = jax.jit(clean_proposals)(given)
    np.testing.assert_array_equal(got.boxes, [[[1, 2, 3, 4], [0] * 4]])
    np.testing.assert_array_equal(got.scores, [[-0.5, -np.inf]])
    np.testing.assert_array_equal(got.valid, [[True, False]])


IMAGES, SIZES = np.zeros((2, 6, 5, 3), np.uint8), np.full((2, 2), 5, np.int32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
def test_a_batch_of_images_passes(dtype):
    check_images(IMAGES.astype(dtype), SIZES)
    check_images(jax.ShapeDtypeStruct(IMAGES.shape, dtype), SIZES.astype(np.int64))


@pytest.mark.parametrize(
    ("images", "sizes", "said"),
    [
        (
            *(IMAGES[0], SIZES[0]),
            "images has shape (6, 5, 3), expected (N, H, W, 3); "
            "images[None] adds the batch dimension",
        ),
        (IMAGES[None], SIZES, "images has shape (1, 2, 6, 5, 3), expected (N, H, W, 3)"),
        (IMAGES[..., :1], SIZES, "images has shape (2, 6, 5, 1), expected (N, H, W, 3)"),
        (
            *(IMAGES.transpose(0, 3, 1, 2), SIZES),
            "images has shape (2, 3, 6, 5), expected (N, H, W, 3)",
        ),
        (
            *(IMAGES.astype(np.float64), SIZES),
            "images has dtype float64, expected uint8 or float32, 0..255",
        ),
        (
            *(IMAGES.astype(np.int32), SIZES),
            "images has dtype int32, expected uint8 or float32, 0..255",
        ),
        (
            *(IMAGES, SIZES[0]),
            "image_sizes has shape (2,), expected (N=2, 2); "
            "image_sizes[None] adds the batch dimension",
        ),
        (IMAGES, SIZES[:1], "image_sizes has shape (1, 2), expected (N=2, 2)"),
        (IMAGES, SIZES.tolist(), "image_sizes is a list, expected an array"),
    ],
)
def test_what_is_no_batch_of_images_is_one_line(images, sizes, said):
    for check in (check_images, lambda *given: normalise(*given, ModelConfig())):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            check(images, sizes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("boxes", "boxes has shape (3, 4), expected (N=2, G, 4); boxes[None] adds the batch"),
        ("labels", "labels has shape (3,), expected (N=2, G=3); labels[None] adds the batch"),
        ("box_valid", "box_valid has shape (3,), expected (N=2, G=3)"),
        ("image_weights", "image_weights has shape (), expected (N=2)"),
        ("image_sizes", "image_sizes has shape (2,), expected (N=2, 2)"),
    ],
)
def test_ground_truth_of_other_shapes_is_one_line(name, said):
    batch = make_batch()
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        clean(batch._replace(**{name: getattr(batch, name)[0]}))


def test_proposals_of_other_shapes_are_one_line():
    given = Proposals(np.zeros((2, 3, 4)), np.zeros((2, 3)), np.ones((2, 4), bool))
    with pytest.raises(
        ValueError, match=r"proposals\.valid has shape \(2, 4\), expected \(N=2, R=3\)"
    ):
        clean_proposals(given)

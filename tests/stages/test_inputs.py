"""The batch's door, by hand."""

import jax
import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.stages.inputs import clean, clean_proposals, normalise
from jaxrcnn.types import Batch, Proposals


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

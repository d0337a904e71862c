"""What a benchmark works on: drawn images, boxes and maps, the same for every side."""

from dataclasses import replace
from typing import Any

import numpy as np

from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config
from jaxrcnn.types import Batch

BOXES = 8
"""Ground-truth boxes of an image."""

LEARNING_RATE = 1e-7
"""So small that the weights, and with them the proposals and the work, stay as they are."""


def config_for(config: Config, shape: Shape) -> Config:
    """The config for batches of such a shape."""
    optimizer = replace(config.train.optimizer, learning_rate=LEARNING_RATE, reference_batch_size=0)
    return replace(
        config,
        data=replace(
            config.data,
            short_side=min(shape.height, shape.width),
            long_side=max(shape.height, shape.width),
        ),
        train=replace(config.train, batch_size=shape.images, optimizer=optimizer),
        eval=replace(config.eval, batch_size=shape.images),
    )


def draw_batch(shape: Shape, num_classes: int) -> Batch:
    """Noise with boxes in it, uint8 images without padding, in numpy arrays."""
    n, height, width = shape
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, (0.6 * width, 0.6 * height), (n, BOXES, 2))
    sides = rng.uniform(0.05, 0.4, (n, BOXES, 2)) * (width, height)
    every = np.ones((n, BOXES), bool)
    fields: dict[str, Any] = {
        "images": rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8),
        "image_sizes": np.full((n, 2), (height, width), np.int32),
        "image_index": np.arange(n, dtype=np.int32),
        "image_weights": np.ones(n, np.float32),
        "boxes": np.concatenate([corner, corner + sides], -1).astype(np.float32),
        "labels": rng.integers(1, num_classes + 1, (n, BOXES)).astype(np.int32),
        "box_valid": every,
        "box_ignore": ~every,
        "box_weights": np.ones((n, BOXES), np.float32),
    }
    return Batch(**fields)


def draw_boxes(number: int, height: int, width: int) -> np.ndarray:
    """Boxes (number, 4) float32 around a hundred places, from 16 pixels to most of the image."""
    rng = np.random.default_rng(1)
    places = rng.uniform(0, (width, height), (100, 2))
    centre = places[rng.integers(0, len(places), number)] + rng.normal(0, 6, (number, 2))
    centre = np.clip(centre, 0, (width, height))
    sides = np.exp(rng.uniform(np.log(16), np.log(0.6 * min(height, width)), (number, 2)))
    boxes = np.concatenate([centre - sides / 2, centre + sides / 2], 1)
    return np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)


def draw_pyramid(
    height: int, width: int, strides: tuple[int, ...], channels: int
) -> list[np.ndarray]:
    """Maps (H_l, W_l, C) float32 of noise, fine to coarse."""
    rng = np.random.default_rng(2)
    return [
        rng.standard_normal((height // stride, width // stride, channels), np.float32)
        for stride in strides
    ]

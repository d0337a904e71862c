"""The detector's ops alone, at the sizes that it has for them.

Each case is a jitted function and its arguments. Boxes are drawn around a hundred places; the
pyramid is that of the image with 256 channels.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.benchmark.timing import time_calls
from jaxrcnn.benchmark.workload import draw_boxes, draw_pyramid
from jaxrcnn.ops.boxes import iou_matrix
from jaxrcnn.ops.matching import match
from jaxrcnn.ops.nms import nms
from jaxrcnn.ops.roi import RoiOp, assign_levels
from jaxrcnn.ops.sampling import sample
from jaxrcnn.stages.pooling import ROI_OPS
from jaxrcnn.types import Array

NMS_BOXES = (1000, 2000, 4000, 6000, 12000)
NMS_IOU = 0.7
ROIS, SIDE, CHANNELS, SAMPLES = 512, 7, 256, 2
STRIDES = (4, 8, 16, 32)
ANCHORS, TRUTH, DRAWN = 270_000, 32, 256  # about those of an image of 800 x 1344 pixels


class Case(NamedTuple):
    """An op with its arguments."""

    name: str
    call: Callable[..., Any]  # jitted
    arguments: tuple[Any, ...]

    def run(self, number: int) -> list[float]:
        """Seconds of each of so many calls."""
        return time_calls(lambda: self.call(*self.arguments), number)


def op_cases(height: int, width: int) -> Iterator[Case]:
    """Every op, for an image of so many pixels."""
    for number in NMS_BOXES:
        yield nms_case(number, height, width)
    for name in ROI_OPS:
        yield from roi_cases(name, height, width)
    yield sampler_case()
    yield matcher_case(height, width)


def nms_case(number: int, height: int, width: int) -> Case:
    """Suppression with a place for every box."""
    scores = np.random.default_rng(3).random(number, np.float32)
    arguments = draw_boxes(number, height, width), scores
    return Case(f"nms {number}", _nms, jax.device_put(arguments))


@jax.jit
def _nms(boxes: Array, scores: Array) -> tuple[Array, Array]:
    return nms(boxes, scores, jnp.ones(len(boxes), bool), NMS_IOU, len(boxes))


def roi_cases(name: str, height: int, width: int) -> Iterator[Case]:
    """A RoI op forward, and its gradient in the features and in the boxes."""
    features = tuple(draw_pyramid(height, width, STRIDES, CHANNELS))
    rng = np.random.default_rng(4)
    cotangent = rng.standard_normal((ROIS, SIDE, SIDE, CHANNELS), np.float32)
    features, boxes, cotangent = jax.device_put(
        (features, draw_boxes(ROIS, height, width), cotangent)
    )
    pool = functools.partial(_pool, ROI_OPS[name])
    yield Case(f"{name} forward", jax.jit(pool), (features, boxes))

    def in_features(features: Any, boxes: Array, cotangent: Array) -> Any:
        return jax.vjp(lambda x: pool(x, boxes), features)[1](cotangent)

    def in_boxes(features: Any, boxes: Array, cotangent: Array) -> Any:
        return jax.vjp(lambda x: pool(features, x), boxes)[1](cotangent)

    yield Case(f"{name} to features", jax.jit(in_features), (features, boxes, cotangent))
    yield Case(f"{name} to boxes", jax.jit(in_boxes), (features, boxes, cotangent))


def _pool(op: RoiOp, features: tuple[Array, ...], boxes: Array) -> Array:
    levels = assign_levels(boxes, len(STRIDES), first_level=2)
    return op(features, STRIDES, boxes, levels, SIDE, SAMPLES)


def sampler_case() -> Case:
    """The draw of anchors, one in a hundred of them foreground."""
    labels = np.random.default_rng(5).choice((1, 0, -1), ANCHORS, p=(0.01, 0.94, 0.05))
    arguments = jax.random.key(0), labels.astype(np.int32), np.zeros(ANCHORS, np.float32)
    return Case(f"sampler {ANCHORS}", _sample, jax.device_put(arguments))


@jax.jit
def _sample(key: Array, labels: Array, overlap: Array) -> Any:
    return sample(key, labels, overlap, DRAWN, 0.5)


def matcher_case(height: int, width: int) -> Case:
    """The labels of anchors, their overlaps with the boxes included."""
    boxes = draw_boxes(ANCHORS + TRUTH, height, width)
    arguments = boxes[:ANCHORS], boxes[ANCHORS:]
    return Case(f"matcher {ANCHORS} x {TRUTH}", _match, jax.device_put(arguments))


@jax.jit
def _match(anchors: Array, truth: Array) -> Any:
    every = jnp.ones(len(truth), bool)
    return match(iou_matrix(anchors, truth), every, 0.7, 0.3, low_quality_matches=True)

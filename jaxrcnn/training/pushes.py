"""Where the second stage pushes the RoIs that it is trained on, by route of the gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config, ProposalsConfig
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.ops.boxes import iou_matrix
from jaxrcnn.training.alternating import RPN_LOSSES
from jaxrcnn.training.knobs import knobs_of, step_key
from jaxrcnn.training.measures import share
from jaxrcnn.training.routes import Setting, set_up, weighted_loss
from jaxrcnn.types import Array, Batch, Flow, Gates, RoiSamples

FOREGROUND_BINS = {"0.5": (0.5, 0.6), "0.6": (0.6, 0.7), "0.7": (0.7, 0.8), "0.8": (0.8, 1.0)}
"""Bins of the IoU of a foreground RoI with its object; the last one includes 1."""

BACKGROUND_BINS = {"0.1": (0.1, 0.5)}
"""Bins of the highest IoU of a background RoI with an object."""


class Slopes(NamedTuple):
    """Gradients of the second stage's losses in each RoI's coordinates, (N, S, 4) per pixel."""

    pooling: Array  # through the position at which features are pooled
    targets: Array  # through the box that regression targets are relative to


class Push(NamedTuple):
    """What one route does to each RoI."""

    step: Array  # (N, S, 4) the negative slope
    cosine: Array  # (N, S) between the step and the difference between object and RoI
    nearer: Array  # (N, S) bool, whether the IoU with the object rises with a small step
    moves: Array  # (N, S) bool, whether neither of these is zero and there is an object


class Pushes(NamedTuple):
    """Where the second stage pushes its RoIs; a background RoI's object has the highest IoU."""

    boxes: Array  # (N, S, 4)
    overlap: Array  # (N, S) IoU with the object
    foreground: Array  # (N, S) bool
    pooling: Push
    targets: Push


def pushes_at(
    detector: Detector, config: Config, variables: Variables, batch: Batch, step: Array | int
) -> Pushes:
    """The pushes in one step of joint training; to be jitted.

    Args:
        detector: static.
        config: static.
        variables: of the detector before the step.
        batch: of the step.
        step: number of steps before it.
    """
    key = step_key(knobs_of(config).seed, step)
    slopes, flow = roi_slopes(set_up(detector, variables, batch, key, "joint"))
    return pushes_of(slopes, flow.rois, batch)


def roi_slopes(setting: Setting) -> tuple[Slopes, Flow]:
    """Both routes' slopes at the RoIs of a step of joint training, as if the gate were open.

    They are taken behind the gate, so neither its factors nor the limits in `delta_gradient` affect
    them.
    """
    factors = {loss: float(loss not in RPN_LOSSES) for loss in setting.losses}
    closed = Gates(0.0, 0.0)

    def total(offsets: Slopes) -> tuple[Array, Flow]:
        def offset(
            rois: RoiSamples, config: ProposalsConfig, gates: Gates | None = None
        ) -> RoiSamples:
            passed = setting.detector.gate(rois, config, gates)
            return passed._replace(
                boxes=passed.boxes + offsets.pooling,
                references=passed.references + offsets.targets,
            )

        moved = setting._replace(detector=setting.detector._replace(gate=offset))
        return weighted_loss(moved, setting.trained, setting.offsets, factors, closed)

    _, shapes = jax.eval_shape(
        lambda: weighted_loss(setting, setting.trained, setting.offsets, factors, closed)
    )
    boxes = shapes.rois.boxes
    zeros = jnp.zeros(boxes.shape, boxes.dtype)
    return jax.grad(total, has_aux=True)(Slopes(zeros, zeros))


@jax.named_scope("pushes")
def pushes_of(slopes: Slopes, rois: RoiSamples, batch: Batch) -> Pushes:
    """Each RoI's push through both routes, compared with the direction to its object."""
    objects = jnp.take_along_axis(batch.boxes, rois.matched[..., None], 1)  # (N, S, 4)
    real = jnp.take_along_axis(batch.box_valid & ~batch.box_ignore, rois.matched, 1)
    counted = rois.valid & real & (batch.image_weights > 0)[:, None]
    overlap, rise = jax.vmap(jax.vmap(jax.value_and_grad(_iou)))(rois.boxes, objects)
    way = objects - rois.boxes

    def push(slope: Array) -> Push:
        lengths = _length(way) * _length(slope)
        moves = counted & (lengths > 0)
        cosine = -(slope * way).sum(-1) / jnp.where(moves, lengths, 1)
        return Push(-slope, cosine, -(slope * rise).sum(-1) > 0, moves)

    return Pushes(rois.boxes, overlap, rois.labels > 0, *map(push, slopes))


def measure_pushes(pushes: Pushes) -> dict[str, Array]:
    """How well the pushes agree with the direction to the object, by route and IoU; scalars.

    ``push/ROUTE/IOU`` is the mean cosine, ``nearer/ROUTE/IOU`` the share of RoIs whose IoU rises.
    RoIs without a gradient, or equal to their object, do not count; a mean over none is NaN.
    """
    found = {}
    for route in Slopes._fields:
        push: Push = getattr(pushes, route)
        bins = [(pushes.foreground, *of_bin) for of_bin in FOREGROUND_BINS.items()]
        if route == "pooling":  # the background has no targets
            bins += [(~pushes.foreground, *of_bin) for of_bin in BACKGROUND_BINS.items()]
        for kind, name, (low, high) in bins:
            below = (pushes.overlap < high) | (high == 1)
            inside = push.moves & kind & (pushes.overlap >= low) & below
            cosines = jnp.where(inside, push.cosine, 0)
            found[f"push/{route}/{name}"] = share(cosines.sum(), inside.sum())
            found[f"nearer/{route}/{name}"] = share((inside & push.nearer).sum(), inside.sum())
    return found


def _iou(box: Array, other: Array) -> Array:
    return iou_matrix(box[None], other[None])[0, 0]


def _length(vectors: Array) -> Array:
    return jnp.sqrt(jnp.sum(jnp.square(vectors), -1))

"""Where the second stage pushes the proposals that it is trained on, by route of the gate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import ProposalsConfig
from jaxrcnn.ops.boxes import iou_matrix
from jaxrcnn.training.alternating import RPN_LOSSES
from jaxrcnn.training.measures import share
from jaxrcnn.training.routes import Setting, weighted_loss
from jaxrcnn.types import Array, Batch, Flow, Gates, RoiSamples

FOREGROUND_BINS = {"0.5": (0.5, 0.6), "0.6": (0.6, 0.7), "0.7": (0.7, 0.8), "0.8": (0.8, 1.0)}
"""Of the IoU of a foreground RoI with its object; the last one includes 1."""

BACKGROUND_BINS = {"0.1": (0.1, 0.5)}
"""Of the IoU of a background RoI with the object that is nearest."""


class Slopes(NamedTuple):
    """Gradient of the second stage's losses in the coordinates of each RoI, (N, S, 4) per pixel."""

    pooling: Array  # by where the features are pooled
    targets: Array  # by what the regression targets are encoded against


def roi_slopes(setting: Setting) -> tuple[Slopes, Flow]:
    """Both routes' slopes at the RoIs of a step of joint training, as if the gate were open.

    They are taken behind the gate: what it or `delta_gradient` limit on the way to the RPN is not
    part of them.
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
def measure_pushes(slopes: Slopes, rois: RoiSamples, batch: Batch) -> dict[str, Array]:
    """How well the pushes agree with the way to the object, by route and IoU; scalars.

    ``push/ROUTE/IOU`` is the mean cosine between the negative slope and the way from the RoI's
    four coordinates to those of its object; ``nearer/ROUTE/IOU`` the share of RoIs whose IoU with
    it rises with a small step along the negative slope. RoIs without a slope, or that are their
    object, do not count; a mean over none is NaN.
    """
    objects = jnp.take_along_axis(batch.boxes, rois.matched[..., None], 1)  # (N, S, 4)
    real = jnp.take_along_axis(batch.box_valid & ~batch.box_ignore, rois.matched, 1)
    counted = rois.valid & real & (batch.image_weights > 0)[:, None]
    overlap, rise = jax.vmap(jax.vmap(jax.value_and_grad(_iou)))(rois.boxes, objects)
    is_object = rois.labels > 0
    found = {}
    for route, slope in slopes._asdict().items():
        way = objects - rois.boxes
        long = _length(way) * _length(slope)
        moves = counted & (long > 0)
        cosine = -(slope * way).sum(-1) / jnp.where(moves, long, 1)
        nearer = -(slope * rise).sum(-1) > 0
        bins = [(is_object, name, limits) for name, limits in FOREGROUND_BINS.items()]
        if route == "pooling":  # the background has no targets
            bins += [(~is_object, name, limits) for name, limits in BACKGROUND_BINS.items()]
        for kind, name, (low, high) in bins:
            inside = moves & kind & (overlap >= low) & ((overlap < high) | (high == 1))
            found[f"push/{route}/{name}"] = share(jnp.where(inside, cosine, 0).sum(), inside.sum())
            found[f"nearer/{route}/{name}"] = share((inside & nearer).sum(), inside.sum())
    return found


def _iou(box: Array, other: Array) -> Array:
    return iou_matrix(box[None], other[None])[0, 0]


def _length(vectors: Array) -> Array:
    return jnp.sqrt(jnp.sum(jnp.square(vectors), -1))

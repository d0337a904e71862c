"""Where a training step first went wrong: which module, and which picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxrcnn.training.alternating import Stage
from jaxrcnn.types import Array, Flow

STAGE_OUTPUTS: dict[Stage, tuple[str, ...]] = {
    "joint": ("features", "objectness", "rpn_deltas", "class_logits", "box_deltas"),
    "rpn": ("features", "objectness", "rpn_deltas"),
    "fast_rcnn": ("features", "class_logits", "box_deltas"),
}

PLACES = {
    "features": "the backbone's features",
    "objectness": "the RPN's objectness",
    "rpn_deltas": "the RPN's box deltas",
    "class_logits": "the box head's class logits",
    "box_deltas": "the box head's box deltas",
    "backbone": "the gradient of the backbone",
    "rpn_head": "the gradient of the RPN head",
    "box_head": "the gradient of the box head",
}
"""Outputs in the order of the flow, then gradients, and how they are called."""


def wrong_outputs(flow: Flow, stage: Stage) -> Array:
    """Which pictures have an output that is not finite: (number of PLACES, N) bool.

    Rows of outputs that the stage does not use, and of gradients, are False.
    """
    outputs: dict[str, Sequence[Array]] = {
        "features": flow.features,
        "objectness": (flow.rpn.objectness,),
        "rpn_deltas": (flow.rpn.deltas,),
        "class_logits": (flow.output.class_logits,),
        "box_deltas": (flow.output.deltas,),
    }
    fine = jnp.zeros(len(flow.rois.boxes), bool)
    return jnp.stack(
        [_wrong(outputs[name]) if name in STAGE_OUTPUTS[stage] else fine for name in PLACES]
    )


def origin(wrong: Array, gradients: Mapping[str, Any], image_index: Array) -> dict[str, Array]:
    """The first place that is not finite, and a picture in which it is not.

    Args:
        wrong: (number of PLACES, N) of `wrong_outputs`.
        gradients: of the detector's parts.
        image_index: (N,) places in the data set.

    Returns:
        ``origin_place`` () int32, into PLACES; -1 where all is finite; and ``origin_picture``
        () int32, a place in the data set; -1 where it is of no single picture.
    """
    fine = jnp.zeros((), bool)
    of_parts = jnp.stack(
        [_any_wrong(gradients[name]) if name in gradients else fine for name in PLACES]
    )
    everywhere = wrong.any(1) | of_parts
    place = jnp.argmax(everywhere)
    pictures = wrong[place]  # (N,)
    picture = jnp.where(pictures.any(), image_index[jnp.argmax(pictures)], -1)
    return {
        "origin_place": jnp.where(everywhere.any(), place, -1).astype(jnp.int32),
        "origin_picture": picture.astype(jnp.int32),
    }


def _wrong(maps: Sequence[Array]) -> Array:
    """Which pictures of maps (N, ...) hold a value that is not finite, (N,) bool."""
    return jnp.stack(
        [(~jnp.isfinite(x)).reshape(len(x), -1).any(1) for x in maps]  # (N, ...) -> (N, M) -> (N,)
    ).any(0)


def _any_wrong(tree: Any) -> Array:
    return jnp.stack([(~jnp.isfinite(x)).any() for x in jax.tree.leaves(tree)]).any()

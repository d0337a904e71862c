"""Where a training step first went wrong: which module, which image, which box."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrcnn.config import BoxHeadConfig
from jaxrcnn.stages.losses import RoiLosses
from jaxrcnn.training.alternating import Stage
from jaxrcnn.types import Array, Flow

STAGE_OUTPUTS: dict[Stage, tuple[str, ...]] = {
    "joint": (
        *("features", "objectness", "rpn_deltas"),
        *("class_logits", "box_deltas", "class_loss", "box_loss"),
    ),
    "rpn": ("features", "objectness", "rpn_deltas"),
    "fast_rcnn": ("features", "class_logits", "box_deltas", "class_loss", "box_loss"),
}

PLACES = {
    "features": "the backbone's features",
    "objectness": "the RPN's objectness",
    "rpn_deltas": "the RPN's box deltas",
    "class_logits": "the box head's class logits",
    "box_deltas": "the box head's box deltas",
    "class_loss": "the class loss",
    "box_loss": "the box loss",
    "backbone": "the backbone's gradient",
    "rpn_head": "the RPN head's gradient",
    "box_head": "the box head's gradient",
    "statistics": "the statistics of the batch norms",
    "parameters": "the updated parameters",
}
"""Outputs in the order of the flow, gradients, then the new state, and how they are called."""

BOX_KINDS = {
    **dict.fromkeys(("objectness", "rpn_deltas"), "anchor"),
    **dict.fromkeys(("class_logits", "box_deltas", "class_loss", "box_loss"), "RoI"),
}
"""The places that are of boxes, and of which."""

CORNERS = ("x0", "y0", "x1", "y1")


class Wrong(NamedTuple):
    """What is not finite in the outputs of a step, by place; P is the number of PLACES."""

    images: Array  # (P, N) bool
    boxes: Array  # (P, N) int32, the first such box of the image; 0 where of none
    coordinates: Array  # (P, N, 4) float32, of this box, pixels


@jax.named_scope("wrong_outputs")
def wrong_outputs(
    flow: Flow,
    stage: Stage,
    image_weights: Array,
    config: BoxHeadConfig,
    roi_losses: RoiLosses,
) -> Wrong:
    """Which images, and which of their boxes, have an output that is not finite.

    Rows of outputs that the stage does not use, and of gradients, are False.

    Args:
        flow: of the step.
        stage: what it trains.
        image_weights: (N,) of the losses.
        config: kind and factors of the losses.
        roi_losses: what every RoI adds to them.
    """
    flow = jax.lax.stop_gradient(flow)
    class_loss, box_loss = roi_losses(flow.output, flow.rois, image_weights, config)
    outputs: dict[str, Sequence[Array]] = {
        "features": flow.features,
        "objectness": (flow.rpn.objectness,),
        "rpn_deltas": (flow.rpn.deltas,),
        "class_logits": (flow.output.class_logits,),
        "box_deltas": (flow.output.deltas,),
        "class_loss": (class_loss,),
        "box_loss": (box_loss,),
    }
    n = len(flow.rois.boxes)
    boxes_at: dict[str, Callable[[Array], Array]] = {  # (N,) places -> (N, 4)
        "anchor": lambda first: flow.anchors[first],
        "RoI": lambda first: jnp.take_along_axis(flow.rois.boxes, first[:, None, None], 1)[:, 0],
    }
    fine = Wrong(jnp.zeros(n, bool), jnp.zeros(n, jnp.int32), jnp.zeros((n, 4), jnp.float32))
    rows = []
    for name in PLACES:
        if name not in STAGE_OUTPUTS[stage]:
            rows.append(fine)
        elif name in BOX_KINDS:
            rows.append(_first_box(outputs[name][0], boxes_at[BOX_KINDS[name]]))
        else:
            rows.append(fine._replace(images=_wrong(outputs[name])))
    return jax.tree.map(lambda *x: jnp.stack(x), *rows)


def origin(
    wrong: Wrong,
    gradients: Mapping[str, Any],
    image_index: Array,
    batch_stats: Any = (),
) -> dict[str, Array]:
    """The first place that is not finite, and an image and a box in which it is not.

    Args:
        wrong: of `wrong_outputs`.
        gradients: of the detector's parts.
        image_index: (N,) places in the data set.
        batch_stats: statistics that the step gives.

    Returns:
        ``origin_place`` () int32, into PLACES; -1 where all is finite. ``origin_image`` () int32,
        a place in the data set; -1 where it is of no single image. ``origin_box`` () int32, into
        the anchors or the RoIs of the image, and its corners ``origin_x0`` and so on () float32,
        pixels; of no meaning where the place is not in BOX_KINDS.
    """
    fine = jnp.zeros((), bool)
    found = {name: _any_wrong(tree) for name, tree in gradients.items()}
    found["statistics"] = not_finite(batch_stats)
    of_parts = jnp.stack([found.get(name, fine) for name in PLACES])
    everywhere = wrong.images.any(1) | of_parts
    place = jnp.argmax(everywhere)
    first = jnp.argmax(wrong.images[place])
    image = jnp.where(wrong.images[place].any(), image_index[first], -1)
    corners = zip(CORNERS, wrong.coordinates[place, first], strict=True)
    return {
        "origin_place": jnp.where(everywhere.any(), place, -1).astype(jnp.int32),
        "origin_image": image.astype(jnp.int32),
        "origin_box": wrong.boxes[place, first],
        **{f"origin_{name}": value for name, value in corners},
    }


def of_parameters(where: Mapping[str, Array], params: Any) -> dict[str, Array]:
    """An `origin` that is the updated parameters if they are the first that are not finite."""
    wrong = (where["origin_place"] < 0) & not_finite(params)
    place = jnp.where(wrong, list(PLACES).index("parameters"), where["origin_place"])
    return {**where, "origin_place": place.astype(jnp.int32)}


def describe_origin(row: Mapping[str, Any], name_image: Callable[[int], str] = str) -> str:
    """Where a step began to go wrong, in words; empty where nothing is known.

    Args:
        row: the metrics of the step, with those of `origin`.
        name_image: the name of an image, by its place in the data set.
    """
    place, image = int(row["origin_place"]), int(row["origin_image"])
    if place < 0:
        return ""
    name = list(PLACES)[place]
    words = f"first seen in {PLACES[name]}"
    if image >= 0:
        words += f" for image {name_image(image)}"
    if image >= 0 and name in BOX_KINDS:
        corners = ", ".join(f"{float(row[f'origin_{corner}']):.1f}" for corner in CORNERS)
        words += f", {BOX_KINDS[name]} {int(row['origin_box'])} at ({corners})"
    return words


def _wrong(maps: Sequence[Array]) -> Array:
    """Which images of maps (N, ...) hold a value that is not finite, (N,) bool."""
    return jnp.stack(
        [(~jnp.isfinite(x)).reshape(len(x), -1).any(1) for x in maps]  # (N, ...) -> (N, M) -> (N,)
    ).any(0)


def _first_box(output: Array, boxes_at: Callable[[Array], Array]) -> Wrong:
    """The rows of `Wrong` for an output (N, M, ...) of boxes; `boxes_at` gives those at places."""
    n, m = output.shape[:2]
    wrong = (~jnp.isfinite(output)).reshape(n, m, -1).any(2)  # (N, M, ...) -> (N, M)
    first = jnp.argmax(wrong, 1).astype(jnp.int32)
    return Wrong(wrong.any(1), first, boxes_at(first).astype(jnp.float32))


def _any_wrong(tree: Any) -> Array:
    """Whether the norm of a gradient is not finite; the metrics need the same sums."""
    return ~jnp.isfinite(optax.tree.norm(tree, squared=True))


def not_finite(tree: Any) -> Array:
    """Whether an array of a tree holds a value that is not finite, () bool."""
    wrong = [~jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]
    return jnp.stack(wrong).any() if wrong else jnp.zeros((), bool)

"""The detector's modules as instruments see them: parameters by module, and the shared features."""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxrcnn.detector import COLLECTIONS, Detector, Variables
from jaxrcnn.types import Array, at_least_float32

OFFSETS = "offsets"

RPN_LAYERS = {"cls_logits": "objectness", "bbox_pred": "box"}
"""What the RPN's last layers are called; those before them are ``hidden``."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """A backbone that adds to its maps what stands in its parameters under `OFFSETS`.

    Zeros change no value, and the gradient in them is the gradient in the shared features. Hashable
    as the backbone is.
    """

    backbone: Any

    def apply(self, variables: Variables, x: Array, **options: Any) -> tuple[Any, Any]:
        """As the backbone's own."""
        params = dict(variables["params"])
        offsets = params.pop(OFFSETS)
        maps, new = self.backbone.apply({**variables, "params": params}, x, **options)
        return tuple(x + offset for x, offset in zip(maps, offsets, strict=True)), new

    @property
    def strides(self) -> tuple[int, ...]:
        """Those of the backbone."""
        return self.backbone.strides

    @property
    def roi_levels(self) -> int:
        """That of the backbone."""
        return self.backbone.roi_levels


def offsets_for(detector: Detector, variables: Variables, images: Array) -> tuple[Array, ...]:
    """Zeros in the shapes of the feature maps of images (N, H, W, 3)."""
    own = {name: variables[name]["backbone"] for name in COLLECTIONS}
    maps = jax.eval_shape(detector.backbone.apply, own, images.astype(jnp.float32))
    return tuple(jnp.zeros(x.shape, x.dtype) for x in maps)


def module_of(path: Sequence[str]) -> str:
    """The module of a parameter, by the names on the way to it from the detector.

    ``backbone/`` and the stage: ``stem``, ``layer1`` to ``layer4``, VGG's ``conv1`` to ``conv5``,
    or of another backbone its first level of names; ``neck``; ``rpn/hidden``, ``rpn/objectness``
    and ``rpn/box``; ``box_head``.
    """
    part, *inside = path
    if part == "backbone":
        if inside[0] == "fpn":
            return "neck"
        if inside[0] != "body":
            return f"backbone/{inside[0]}"
        if inside[1] in ("conv1", "bn1"):
            return "backbone/stem"
        return "backbone/" + re.sub(r"_\d+$", "", inside[1])  # a block of a stage
    if part == "rpn_head":
        return f"rpn/{RPN_LAYERS.get(inside[0], 'hidden')}"
    return part


def is_in(path: str, parts: Collection[str]) -> bool:
    """Whether an array, such as ``box_head/cls_score/bias``, belongs to one of the parts."""
    return any(f"{path}/".startswith(f"{part}/") for part in parts)


def module_norms(gradients: Mapping[str, Any]) -> dict[str, Array]:
    """Norm of the gradient in every module's parameters, and in ``features`` where it is there.

    Args:
        gradients: of some of the detector's parts, and of the feature maps under "features".
    """
    squares: dict[str, Array] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(gradients):
        names = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        module = module_of(names)
        square = jnp.sum(jnp.square(at_least_float32(x)))
        squares[module] = squares[module] + square if module in squares else square
    return {module: jnp.sqrt(square) for module, square in squares.items()}

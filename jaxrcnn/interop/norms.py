"""Norms whose variance is so small that a division by it would not be finite.

With the epsilon of 0 that torchvision's COCO_V1 weights need, a channel that died in training has
a variance of 0, or one that float32 holds only as a denormal number. XLA takes those for 0.
"""

from typing import Any

import jax
import numpy as np

from jaxrcnn.config import ConfigError, ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop.naming import Peer
from jaxrcnn.interop.transfer import path_of
from jaxrcnn.wording import counted

SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest number that XLA does not take for 0."""


def without_denormals(
    variables: Variables, peer: Peer, config: ModelConfig
) -> tuple[Variables, dict[str, np.ndarray], list[str]]:
    """The variables with a variance of at least `SMALLEST`, and scales that make up for it.

    Args:
        variables: of a detector with weights of a file.
        peer: whose file.
        config: of the detector.

    Returns:
        The variables; the tensors that were changed, by the peer's names and as they were; and a
        line for each norm.

    Raises:
        ConfigError: a variance is 0 or below, or divides a scale beyond float32.
    """
    flat, tree = jax.tree_util.tree_flatten_with_path(variables)
    places = {path_of(path): index for index, (path, _) in enumerate(flat)}
    arrays: list[Any] = [array for _, array in flat]
    changed: dict[str, np.ndarray] = {}
    lines = []
    for path, place in places.items():
        module, _, field = path.rpartition("/")
        if field != "var" or not path.startswith("backbone/body/"):
            continue
        if isinstance(arrays[place], jax.ShapeDtypeStruct):  # it is drawn later
            continue
        name = peer.name_of(path, config)
        variance, scale = np.asarray(arrays[place]), np.asarray(arrays[places[f"{module}/scale"]])
        total = variance.astype(np.float64) + config.backbone.norm_epsilon
        small = total < SMALLEST
        if not small.any():
            continue
        with np.errstate(all="ignore"):
            factor = scale * total**-0.5
        if not np.all(np.isfinite(factor) & (np.abs(factor) < np.finfo(np.float32).max)):
            number = counted(int(np.count_nonzero(small)), "variance")
            raise ConfigError(
                f"{name}: dividing by the root of {number} (the smallest is "
                f"{variance[small].min():g}) is not finite with model.backbone.norm_epsilon="
                f"{config.backbone.norm_epsilon:g}; if the model was trained with another epsilon, "
                "set it: --config.model.backbone.norm_epsilon 1e-5"
            )
        for kind, array in (("var", variance), ("scale", scale)):
            theirs = peer.name_of(f"{module}/{kind}", config)
            changed[theirs or ""] = array
        arrays[place] = np.where(small, np.float32(SMALLEST), variance)
        arrays[places[f"{module}/scale"]] = np.where(small, factor * SMALLEST**0.5, scale).astype(
            np.float32
        )
        lines.append(
            f"  {'rescaled':18}  {counted(int(np.count_nonzero(small)), 'channel')} of {name}: XLA "
            "would treat such small variances as 0"
        )
    return jax.tree_util.tree_unflatten(tree, arrays), changed, lines

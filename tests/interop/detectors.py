"""State dicts of detectors that are small, with the names of torchvision and Detectron2."""

import jax
import numpy as np

from jaxrcnn.detector import build, init
from jaxrcnn.interop.naming import Peer
from jaxrcnn.interop.of_torchvision import complete
from jaxrcnn.interop.transfer import path_of
from tests.tiny import FPN_MODEL, change

TINY = change(
    FPN_MODEL,
    backbone={"norm": "frozen"},
    roi={"op": "align_unaligned", "output_size": 3},
)
"""ResNet-18 of width 8 with frozen norms, a pyramid of 16 channels, three classes."""


def shape_dict(peer: Peer, model) -> dict[str, np.ndarray]:
    """Tensors of a detector by the peer's names, of its shapes and next to no memory."""
    shapes = jax.eval_shape(lambda key: init(build(model), key), jax.random.key(0))
    tensors = {}
    for tree_path, x in jax.tree_util.tree_leaves_with_path(shapes):
        path = path_of(tree_path)
        theirs = peer.layout_of(path, model).theirs(np.empty(x.shape, bool))
        tensors[peer.name_of(path, model)] = np.broadcast_to(np.float32(0), theirs.shape)
    return dict(peer.complete(tensors, {}, model)) if peer.complete else tensors


def state_dict(peer: Peer, model=TINY, seed=0) -> dict[str, np.ndarray]:
    """Tensors of a detector by the peer's names, drawn; variances and scales are near 1."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: init(build(model), key), jax.random.key(0))
    tensors = {}
    for tree_path, x in jax.tree_util.tree_leaves_with_path(shapes):
        path = path_of(tree_path)
        drawn = rng.normal(0, 0.05, x.shape) + path.endswith(("/scale", "/var"))
        tensors[peer.name_of(path, model)] = np.ascontiguousarray(
            peer.layout_of(path, model).theirs(drawn.astype(np.float32))
        )
    return dict(complete(tensors, {}, model)) if peer.complete else tensors

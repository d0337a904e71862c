"""A weight file, recognised by the names in it."""

import pathlib
from collections.abc import Collection

import jax

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.transfer import Account, describe, load, mismatches
from jaxrcnn.interop.weight_files import read_weights
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.weights import holds_weights, load_variables

SIGNS = {
    "rpn.head.cls_logits.weight": TORCHVISION,
    "proposal_generator.rpn_head.objectness_logits.weight": DETECTRON2,
    "conv1_w": DETECTRON2_BACKBONE,
    "stem.conv1.weight": DETECTRON2_BACKBONE,
    "conv1.weight": TORCHVISION_BACKBONE,
    "conv_stem.weight": TORCHVISION_BACKBONE,
    "features.0.weight": TORCHVISION_BACKBONE,
    "features.0.0.weight": TORCHVISION_BACKBONE,
}
"""A name that files of one peer have, and those of the others before it have not."""


def peer_of(tensors: Tensors) -> Peer:
    """Whose tensors these are.

    Raises:
        ConfigError: nobody's that is known here.
    """
    for name, peer in SIGNS.items():
        if name in tensors:
            return peer
    first = min(tensors)
    raise ConfigError(
        f"the tensors, such as {first}, are none of a Faster R-CNN of torchvision or Detectron2, "
        "nor of an ImageNet backbone of theirs or of timm"
    )


def read_init(config: Config, like: Variables) -> tuple[Variables, list[str]]:
    """What train.init gives a run to start from.

    Args:
        config: of the run; train.init is a run's workdir, a model's folder or a weight file.
        like: the detector's variables, drawn and on their devices.

    Returns:
        The variables, and an account of a weight file's tensors in lines.

    Raises:
        ConfigError: it cannot be read, or does not fit.
    """
    path, restart = pathlib.Path(config.train.init), config.train.init_restart
    if path.is_file():
        variables, account, peer = read_source(path, config.model, like, restart)
        put = jax.tree.map(lambda x, y: jax.device_put(x, y.sharding), variables, like)
        lines = [f"{path}:", *describe(account, peer), *mismatches(peer, config.model)]
        return put, lines
    if holds_weights(path):
        return load_variables(path, like, restart), []
    with Checkpoints(path) as checkpoints:
        return checkpoints.restore_variables(like, restart=restart), []


def read_source(
    path: pathlib.Path, config: ModelConfig, like: Variables, restart: Collection[str] = ()
) -> tuple[Variables, Account, Peer]:
    """The variables with a weight file's values in them; arguments are those of `load`.

    Raises:
        ConfigError: the file cannot be read, or does not fit.
    """
    tensors = read_weights(path).tensors
    try:
        peer = peer_of(tensors)
        return *load(tensors, peer, config, like, restart), peer
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None

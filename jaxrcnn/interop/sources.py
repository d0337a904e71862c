"""A weight file, recognised by the names in it."""

import pathlib
from collections.abc import Collection

import jax

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop.buffers import fields_of, takes_rgb
from jaxrcnn.interop.families import READ, family_of
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.norms import without_denormals
from jaxrcnn.interop.of_detectron2 import DETECTRON2, DETECTRON2_RGB
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.transfer import describe, load, mismatches
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


def peer_of(tensors: Tensors, input_format: str = "") -> Peer:
    """Whose tensors these are.

    Args:
        tensors: of a detector or a backbone.
        input_format: "RGB" or "BGR", of a Detectron2 detector; empty where the file tells.

    Raises:
        ConfigError: nobody's that is known here.
    """
    if family := family_of(tensors):
        raise ConfigError(f"it is {family}; {READ}")
    for name, peer in SIGNS.items():
        if name in tensors:
            rgb = peer is DETECTRON2 and takes_rgb(tensors, input_format)
            return DETECTRON2_RGB if rgb else peer
    first = min(tensors)
    raise ConfigError(f"the tensors, such as {first}, are of no known model; {READ}")


def detector_peer(tensors: Tensors, input_format: str = "") -> Peer:
    """Whose detector this is; arguments are those of `peer_of`.

    Raises:
        ConfigError: it is a backbone, or nobody's that is known here.
    """
    peer = peer_of(tensors, input_format)
    if peer in (TORCHVISION_BACKBONE, DETECTRON2_BACKBONE):
        raise ConfigError(
            "it is an ImageNet backbone, which needs no converting: --config.train.init takes it "
            "as it is"
        )
    return peer


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
        variables, lines = read_source(path, config.model, like, restart)
        put = jax.tree.map(lambda x, y: jax.device_put(x, y.sharding), variables, like)
        return put, [f"{path}:", *lines]
    if holds_weights(path):
        return load_variables(path, like, restart), []
    with Checkpoints(path) as checkpoints:
        return checkpoints.restore_variables(like, restart=restart), []


def read_source(
    path: pathlib.Path, config: ModelConfig, like: Variables, restart: Collection[str] = ()
) -> tuple[Variables, list[str]]:
    """The variables with a weight file's values in them, and an account of it in lines.

    The arguments are those of `load`.

    Raises:
        ConfigError: the file cannot be read, or does not fit.
    """
    file = read_weights(path)
    try:
        peer = peer_of(file.tensors)
        variables, account = load(file.tensors, peer, config, like, restart)
        variables, _, rescaled = without_denormals(variables, peer, config)
        told = {}
        if peer in (DETECTRON2, DETECTRON2_RGB):
            told = fields_of(file.tensors, peer is DETECTRON2_RGB)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return variables, [
        *describe(account, peer),
        *file.notes,
        *rescaled,
        *mismatches(peer, config, told),
        *_unsaid(peer, config),
    ]


def _unsaid(peer: Peer, config: ModelConfig) -> list[str]:
    """The fields of a run that torchvision's detectors depend on and no file of theirs says."""
    if peer is not TORCHVISION:
        return []
    anchors = f"model.anchors.sizes {config.anchors.sizes}, .ratios {config.anchors.ratios}"
    epsilon = f"model.backbone.norm_epsilon {config.backbone.norm_epsilon:g}"
    return [f"  {'not in the file':18}  {x}" for x in (anchors, epsilon)]

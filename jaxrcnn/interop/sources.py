"""A weight file, recognised by the names in it."""

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.buffers import takes_rgb
from jaxrcnn.interop.families import READ, family_of
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.of_detectron2 import DETECTRON2, DETECTRON2_RGB
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION

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
    raise ConfigError(f"the names of its tensors, such as {first}, match no known model; {READ}")


def detector_peer(tensors: Tensors, input_format: str = "") -> Peer:
    """Whose detector this is; arguments are those of `peer_of`.

    Raises:
        ConfigError: it is a backbone, or nobody's that is known here.
    """
    peer = peer_of(tensors, input_format)
    if peer in (TORCHVISION_BACKBONE, DETECTRON2_BACKBONE):
        raise ConfigError(
            "it is an ImageNet backbone, which requires no conversion: use it with "
            "--config.train.init"
        )
    return peer

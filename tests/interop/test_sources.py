"""Whose tensors a weight file has."""

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.sources import peer_of
from tests.interop.state_dicts import SHAPES
from tests.interop.test_of_detectron2 import fpn, resnet
from tests.interop.test_of_imagenet import caffe2_names


@pytest.mark.parametrize(
    ("names", "peer"),
    [
        (SHAPES["fasterrcnn_resnet50_fpn_v2"], TORCHVISION),
        (SHAPES["fasterrcnn_mobilenet_v3_large_fpn"], TORCHVISION),
        (fpn("R_50"), DETECTRON2),
        (resnet("", "R_50"), DETECTRON2_BACKBONE),
        (caffe2_names(resnet("", "R_50")), DETECTRON2_BACKBONE),
        (SHAPES["resnet18"], TORCHVISION_BACKBONE),
        (SHAPES["vgg16"], TORCHVISION_BACKBONE),
        (SHAPES["mobilenet_v3_large"], TORCHVISION_BACKBONE),
        (["conv_stem.weight", "bn1.weight"], TORCHVISION_BACKBONE),
    ],
)
def test_a_file_is_recognised_by_its_names(names, peer):
    assert peer_of(dict.fromkeys(names, np.zeros(1))) is peer


def test_another_detector_is_called_by_its_name():
    with pytest.raises(ConfigError, match="it is a YOLO; only a Faster R-CNN of torchvision or"):
        peer_of({"model.0.conv.weight": np.zeros(1)})


def test_nobodys_file_stops():
    with pytest.raises(ConfigError, match=r"such as blocks\.0\.attn"):
        peer_of({"blocks.0.attn.qkv.weight": np.zeros(1), "norm.weight": np.zeros(1)})

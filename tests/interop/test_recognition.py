"""Which model a weight file is of."""

import hashlib
import pathlib

import numpy as np
import pytest

from jaxrcnn.interop import published
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.recognition import LARGE, SMALL, backbone_fields, detector_name
from tests.interop.state_dicts import SHAPES
from tests.interop.test_of_detectron2 import fpn, one_map, resnet
from tests.interop.test_of_imagenet import caffe2_names

HERE = pathlib.Path(__file__)  # a file that nobody published
IMAGENET = {
    "model.pixel_mean": (123.675, 116.28, 103.53),
    "model.pixel_std": (58.395, 57.12, 57.375),
    "model.backbone.norm": "frozen",
    "model.backbone.norm_epsilon": 1e-5,
    "model.backbone.stride_in_1x1": False,
}
MSRA = {"model.pixel_std": (1.0, 1.0, 1.0), "model.backbone.stride_in_1x1": True}


def tensors_of(shapes):
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("shapes", "peer", "name"),
    [
        (SHAPES["fasterrcnn_resnet50_fpn"], TORCHVISION, "fasterrcnn_resnet50_fpn"),
        (SHAPES["fasterrcnn_resnet50_fpn_v2"], TORCHVISION, "fasterrcnn_resnet50_fpn_v2"),
        (SHAPES["fasterrcnn_mobilenet_v3_large_fpn"], TORCHVISION, LARGE),
        (fpn("R_50"), DETECTRON2, "faster_rcnn_R_50_FPN"),
        (fpn("R_101"), DETECTRON2, "faster_rcnn_R_101_FPN"),
        (fpn("X_101_32x8d"), DETECTRON2, "faster_rcnn_X_101_32x8d_FPN"),
        (one_map("R_50", "C4"), DETECTRON2, "faster_rcnn_R_50_C4"),
        (one_map("R_101", "DC5"), DETECTRON2, "faster_rcnn_R_101_DC5"),
    ],
)
def test_a_detector_is_known_by_its_tensors(shapes, peer, name):
    found = detector_name(tensors_of(shapes), peer, HERE)
    assert found.name == name
    assert (SMALL in found.line) == (name == LARGE)


def published_file(tmp_path, monkeypatch, model):
    """A file that is the published one of a model, by its hash."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"as published")
    digest = hashlib.sha256(b"as published").hexdigest()
    (file,) = [x for x in published.FILES if x.model == model]
    monkeypatch.setattr(published, "FILES", (file._replace(hash=f"sha256:{digest}"),))
    return path


def test_of_two_with_the_same_tensors_the_hash_decides(tmp_path, monkeypatch):
    path = published_file(tmp_path, monkeypatch, SMALL)
    found = detector_name(tensors_of(SHAPES[LARGE]), TORCHVISION, path)
    assert found == (SMALL, f"{SMALL} COCO_V1, by its hash", True)


@pytest.mark.parametrize(
    ("shapes", "peer", "expected"),
    [
        (SHAPES["resnet18"], TORCHVISION_BACKBONE, {"name": "resnet18"}),
        (SHAPES["resnet50"], TORCHVISION_BACKBONE, {"name": "resnet50"}),
        (SHAPES["resnext101_32x8d"], TORCHVISION_BACKBONE, {"name": "resnext101_32x8d"}),
    ],
)
def test_a_resnet_is_for_imagenets_pixels(shapes, peer, expected):
    fields = backbone_fields(tensors_of(shapes), peer, HERE)
    names = {f"model.backbone.{name}": value for name, value in expected.items()}
    assert fields == IMAGENET | {"model.backbone.width": 64} | names


@pytest.mark.parametrize("names", [dict, caffe2_names])
def test_msras_resnet_is_for_other_pixels_and_strides(names):
    tensors = tensors_of(names(resnet("", "R_50")))
    fields = backbone_fields(tensors, DETECTRON2_BACKBONE, HERE)
    named = {"model.backbone.name": "resnet50", "model.backbone.width": 64}
    assert fields == IMAGENET | MSRA | named


def test_a_mobilenet_has_no_width_and_leaves_the_epsilon_open():
    tensors = tensors_of(SHAPES["mobilenet_v3_large"])
    fields = backbone_fields(tensors, TORCHVISION_BACKBONE, HERE)
    expected = IMAGENET | {"model.backbone.name": "mobilenet_v3_large"}
    del expected["model.backbone.norm_epsilon"]
    assert fields == expected


def test_the_pixels_of_a_vgg_are_known_of_the_published_file_alone(tmp_path, monkeypatch):
    tensors, known = tensors_of(SHAPES["vgg16"]), {"model.pixel_mean", "model.pixel_std"}
    fields = backbone_fields(tensors, TORCHVISION_BACKBONE, HERE)
    assert fields["model.backbone.name"] == "vgg16"
    assert fields["model.backbone.norm"] == "none"
    assert not known & fields.keys()
    path = published_file(tmp_path, monkeypatch, "vgg16")
    assert known <= backbone_fields(tensors, TORCHVISION_BACKBONE, path).keys()

"""What is told of a model by its file, and what is said to be assumed."""

import dataclasses
import hashlib
import pathlib

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop import published
from jaxrcnn.interop.conversion import check_fields, describe_model, read_model
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.of_detectron2 import DETECTRON2, DETECTRON2_RGB
from jaxrcnn.interop.of_torchvision import TORCHVISION
from tests.interop.detectors import state_dict
from tests.interop.state_dicts import SHAPES
from tests.interop.test_buffers import RGB, cell, three
from tests.interop.test_of_detectron2 import fpn
from tests.tiny import change

NAME, ZOO = "fasterrcnn_resnet50_fpn", "faster_rcnn_R_50_FPN"


def resnet50():
    """The tensors that tell the model of a ResNet-50 with frozen norms."""
    shapes = {k: x for k, x in SHAPES["fasterrcnn_resnet50_fpn_v2"].items() if ".body." in k}
    frozen = {k: x for k, x in shapes.items() if "num_batches_tracked" not in k}
    heads = state_dict(TORCHVISION)
    tensors = {k: x for k, x in heads.items() if ".body." not in k}
    return tensors | {k: np.zeros(shape, bool) for k, shape in frozen.items()}


@pytest.fixture(scope="module")
def tiny():
    return state_dict(TORCHVISION)


@pytest.fixture(scope="module")
def zoo():
    return state_dict(DETECTRON2)


def told(tensors, name=NAME, **options):
    return read_model(tensors, name, find_model(name), **options)


def lines_of(found, path=pathlib.Path(__file__), config=None):
    return describe_model(found, config or found.config, path)


def complaint(tensors, name=NAME, **options):
    with pytest.raises(ConfigError) as error:
        told(tensors, name, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_epsilon_is_0_for_a_frozen_resnet50_alone(tiny):
    found = told(resnet50())
    assert found.config.model.backbone.norm_epsilon == 0
    (line,) = [line for line in lines_of(found) if "norm_epsilon" in line]
    assert "assumed" in line
    assert line.endswith("--config.model.backbone.norm_epsilon 1e-5")
    others = [
        tiny,  # a ResNet-18
        resnet50() | {"backbone.body.bn1.num_batches_tracked": np.int64(3)},
        {k: x for k, x in resnet50().items() if ".running_" not in k},
    ]
    for tensors in others:
        assert told(tensors).config.model.backbone.norm_epsilon == 1e-5
    mobile = {k: np.zeros(x) for k, x in SHAPES["fasterrcnn_mobilenet_v3_large_fpn"].items()}
    found = told(mobile, "fasterrcnn_mobilenet_v3_large_fpn")
    assert found.config.model.backbone.norm_epsilon == 1e-5


def test_the_published_file_is_known_by_its_hash(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"as published")
    digest = hashlib.sha256(b"as published").hexdigest()
    (coco,) = [f for f in published.FILES if (f.model, f.weights) == (NAME, "COCO_V1")]
    monkeypatch.setattr(published, "FILES", (coco._replace(hash=f"sha256:{digest}"),))
    (line,) = [line for line in lines_of(told(resnet50()), path) if "norm_epsilon" in line]
    assert line.split() == [
        *("by", "its", "hash", "model.backbone.norm_epsilon", "0,", "as", "COCO_V1"),
        *("needs", "it"),
    ]


def test_the_backbone_is_told_and_said(tiny):
    found = told(tiny)
    backbone = found.config.model.backbone
    assert (backbone.name, backbone.width, backbone.norm) == ("resnet18", 8, "frozen")
    assert any("told by the file    model.backbone.name resnet18" in x for x in lines_of(found))


def test_torchvisions_anchors_are_said_to_be_assumed(tiny):
    (line,) = [line for line in lines_of(told(tiny)) if "anchors" in line]
    assert "assumed" in line
    assert "model.anchors.sizes ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))" in line
    assert "model.anchors.ratios (0.5, 1.0, 2.0)" in line


def test_a_field_that_the_shapes_contradict_stops(tiny):
    found = told(tiny)
    other = change(found.config.model, backbone={"name": "resnet50"})
    with pytest.raises(ConfigError) as error:
        check_fields(found, dataclasses.replace(found.config, model=other))
    assert str(error.value) == "--config.model.backbone.name resnet50: the file has resnet18"


BUFFERS = {"pixel_mean": three(*RGB[::-1]), "pixel_std": three(1, 1, 1)}


def anchors(*sizes, ratios=(0.5, 1, 2)):
    prefix = "proposal_generator.anchor_generator.cell_anchors"
    return {f"{prefix}.{i}": cell((size,), ratios) for i, size in enumerate(sizes)}


def test_detectron2s_buffers_are_taken_and_said(zoo):
    other = anchors(16, 32, 64, 128, 256) | {
        "pixel_mean": three(*RGB),
        "pixel_std": three(58.395, 57.12, 57.375),
    }
    found = told(zoo | other, ZOO)
    assert found.peer is DETECTRON2_RGB
    model = found.config.model
    assert model.anchors.sizes == ((16,), (32,), (64,), (128,), (256,))
    assert (model.pixel_mean, model.pixel_std) == (RGB, (58.395, 57.12, 57.375))
    said = "\n".join(lines_of(found))
    assert "told by the file    model.anchors.sizes ((16.0,), (32.0,)" in said
    assert "told by the file    model.pixel_std (58.395, 57.12, 57.375)" in said
    assert "channel order       RGB" in said
    assert "assumed             model.anchors" not in said


def test_buffers_that_are_the_zoos_change_nothing(zoo):
    found = told(zoo | BUFFERS | anchors(32, 64, 128, 256, 512), ZOO)
    assert found.peer is DETECTRON2
    model, named = found.config.model, found.named
    assert model.anchors == named.anchors
    assert (model.pixel_mean, model.pixel_std) == (named.pixel_mean, named.pixel_std)
    (line,) = [line for line in lines_of(found) if "anchors" in line or "pixel" in line]
    assert line.split() == [
        *("as", "in", "the", "file", "model.pixel_mean,", "model.pixel_std,"),
        *("model.anchors.sizes,", "model.anchors.ratios", "of", "the", "named", "model"),
    ]


def test_another_value_by_hand_is_said(zoo):
    found = told(zoo | BUFFERS, ZOO)
    by_hand = dataclasses.replace(found.config.model, pixel_std=(2.0, 2.0, 2.0))
    lines = lines_of(found, config=dataclasses.replace(found.config, model=by_hand))
    said = "not as in the file  model.pixel_std (2.0, 2.0, 2.0), the file has (1.0, 1.0, 1.0)"
    assert any(said in line for line in lines)


def test_anchors_that_the_model_cannot_have_stop_with_both(zoo):
    odd = {"proposal_generator.anchor_generator.cell_anchors.0": cell((32,), (0.5, 1, 2)) + 8}
    said = complaint(zoo | odd, ZOO)
    assert "-14.63" in said  # 8 - 32 * sqrt(2) / 2
    assert f"{ZOO} has model.anchors.sizes ((32.0,), (64.0,)" in said


def test_a_mean_that_tells_no_order_stops_until_it_is_said(zoo):
    odd = {"pixel_mean": three(90, 100, 110), "pixel_std": three(1, 2, 3)}
    assert "--input-format" in complaint(zoo | odd, ZOO)
    model = told(zoo | odd, ZOO, input_format="BGR").config.model
    assert (model.pixel_mean, model.pixel_std) == ((110, 100, 90), (3, 2, 1))
    model = told(zoo | odd, ZOO, input_format="RGB").config.model
    assert model.pixel_mean == (90, 100, 110)


def test_the_stride_of_bottlenecks_and_the_class_loss_are_said_to_be_assumed():
    tensors = {name: np.zeros(shape, bool) for name, shape in fpn("R_50").items()}
    said = "\n".join(lines_of(told(tensors, ZOO)))
    assert "assumed             model.backbone.stride_in_1x1 True" in said
    assert "assumed             model.box_head.class_loss softmax, as MODEL.ROI_BOX_HEAD" in said
    assert "recipe" not in said
    said = "\n".join(lines_of(told(tensors | {"pixel_mean": three(*RGB)}, ZOO)))
    assert "stride_in_1x1 True" in said
    assert "Detectron2's recipe for torchvision's backbones has False" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["model.0.conv.weight", "model.22.dfl.conv.weight"], "it is a YOLO; only a Faster R-CNN"),
        (["head.classification_head.cls_logits.weight"], "it is a RetinaNet; only"),
        (["rpn_head.rpn_conv.weight", "roi_head.bbox_head.fc_cls.weight"], "of MMDetection; only"),
        (["conv1.weight", "fc.weight"], "ImageNet backbone, which requires no conversion"),
        (["a.weight"], "the names of its tensors, such as a.weight, match no known model; only"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(names, said):
    message = complaint(dict.fromkeys(names, np.zeros(1)))
    assert said in message
    assert ("train.init" in message) == ("backbone, which" in message)


def test_a_file_of_the_other_library_is_said(tiny, zoo):
    assert "is detectron2's, the file is of torchvision's Faster R-CNN" in complaint(tiny, ZOO)
    assert "is torchvision's, the file is of Detectron2's Faster R-CNN" in complaint(zoo)

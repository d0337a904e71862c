"""The depth of a backbone, its norm and its channels from names and shapes written by hand."""

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.architecture import with_architecture
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_torchvision import TORCHVISION
from tests.interop.state_dicts import SHAPES
from tests.interop.test_of_detectron2 import fpn, one_map

BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnext101_32x8d": (3, 4, 23, 3),
}
MODEL = find_model("fasterrcnn_resnet50_fpn").config(3).model


def torchvision(blocks, bottleneck=True, groups=1, group_width=64, width=64, channels=256):
    """Shapes of some tensors of a state dict, enough to tell the architecture."""
    shapes = {"backbone.body.conv1.weight": (width, 3, 7, 7)}
    shapes |= {f"backbone.body.bn1.{x}": (width,) for x in ("weight", "bias", "running_var")}
    inner = width * group_width // 64 * groups
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name = f"backbone.body.layer{stage}.{block}"
            scale = 2 ** (stage - 1)
            shapes[f"{name}.conv1.weight"] = (inner * scale, 1, 1, 1)
            shapes[f"{name}.conv2.weight"] = (inner * scale, inner * scale // groups, 3, 3)
            if bottleneck:
                shapes[f"{name}.conv3.weight"] = (4 * width * scale, inner * scale, 1, 1)
    for level in range(4):
        shapes[f"backbone.fpn.layer_blocks.{level}.0.weight"] = (channels, channels, 3, 3)
    return shapes


def arrays(shapes):
    return {name: np.zeros(shape, bool) for name, shape in shapes.items()}


def found(shapes, peer=TORCHVISION, model=MODEL):
    return with_architecture(arrays(shapes), peer, model)


def complaint(shapes):
    with pytest.raises(ConfigError) as error:
        found(shapes)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("width", [64, 8])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_depth_is_told_by_the_names(name, width):
    bottleneck = name not in ("resnet18", "resnet34")
    groups, group_width = (32, 8) if name.startswith("resnext") else (1, 64)
    shapes = torchvision(BLOCKS[name], bottleneck, groups, group_width, width)
    backbone = found(shapes).backbone
    assert (backbone.name, backbone.width) == (name, width)
    assert backbone.norm == "frozen"


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (torchvision((3, 4, 6, 3), groups=32, group_width=4), "32 groups of 4 channels"),
        (torchvision((3, 4, 6, 3), group_width=128), "1 groups of 128 channels"),
        (torchvision((2, 2, 2, 2)), "(2, 2, 2, 2) bottleneck blocks"),
    ],
)
def test_a_resnet_that_is_none_of_ours_is_described(shapes, said):
    message = complaint(shapes)
    assert said in message
    assert "resnet18, resnet34, resnet50" in message


def test_a_backbone_that_is_no_resnet_is_said():
    assert "fasterrcnn_mobilenet_v3_large_fpn" in complaint({"backbone.body.0.0.weight": (16, 3)})
    assert "cannot be converted" in complaint({"backbone.0.weight": (64, 3, 3, 3)})


def test_the_norm_is_told_by_its_statistics():
    shapes = torchvision(BLOCKS["resnet18"], bottleneck=False)
    counted = {"backbone.body.layer1.0.bn1.num_batches_tracked": ()}
    assert found(shapes | counted).backbone.norm == "batch"
    neck = {"backbone.fpn.inner_blocks.0.1.num_batches_tracked": ()}
    assert found(shapes | neck).backbone.norm == "frozen"
    del shapes["backbone.body.bn1.running_var"]
    assert found(shapes).backbone.norm == "group"


def test_the_pyramids_norm_channels_and_levels_are_told():
    shapes = torchvision(BLOCKS["resnet50"], channels=128)
    assert (found(shapes).neck.channels, found(shapes).neck.norm) == (128, "none")
    scale = {"backbone.fpn.layer_blocks.0.1.weight": (128,)}
    assert found(shapes | scale).neck.norm == "group"
    statistics = {"backbone.fpn.layer_blocks.0.1.running_var": (128,)}
    assert found(shapes | scale | statistics).neck.norm == "batch"
    del shapes["backbone.fpn.layer_blocks.3.0.weight"]
    assert "has 3 levels and the pooled one, this model's 4" in complaint(shapes)


def test_the_box_heads_width_and_window_are_told():
    shapes = torchvision(BLOCKS["resnet50"], channels=128)
    shapes["roi_heads.box_head.fc6.weight"] = (512, 128 * 5 * 5)
    model = found(shapes)
    assert (model.box_head.channels, model.roi.output_size) == (512, 5)


def test_the_rpns_convolutions_are_told():
    shapes = torchvision(BLOCKS["resnet50"])
    hidden = {"rpn.head.conv.0.0.weight": (256, 256, 3, 3)}
    assert found(shapes | hidden).rpn == MODEL.rpn
    hidden = {f"rpn.head.conv.{i}.0.weight": (64, 256, 3, 3) for i in range(3)}
    rpn = found(shapes | hidden).rpn
    assert (rpn.convs, rpn.channels) == (3, 64)
    model = find_model("faster_rcnn_R_50_FPN").config(3).model
    name = "proposal_generator.rpn_head.conv"
    several = {k: x for k, x in fpn("R_50").items() if name not in k}
    several |= {f"{name}.conv{i}.weight": (256, 256, 3, 3) for i in range(2)}
    rpn = found(several, DETECTRON2, model).rpn
    assert (rpn.convs, rpn.channels) == (2, 0)


def test_boxes_of_no_class_are_told():
    model = find_model("faster_rcnn_R_50_FPN").config(3).model
    boxes = {"roi_heads.box_predictor.bbox_pred.weight": (4, 1024)}
    assert found(fpn("R_50") | boxes, DETECTRON2, model).box_head.class_agnostic
    assert not found(fpn("R_50"), DETECTRON2, model).box_head.class_agnostic


@pytest.mark.parametrize(
    "name",
    [
        *("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2"),
        "fasterrcnn_mobilenet_v3_large_fpn",
    ],
)
def test_torchvisions_own_are_as_they_were(name):
    model = find_model(name).config(3).model
    shapes = {k: x for k, x in SHAPES[name].items() if "num_batches" not in k or "v2" in name}
    assert found(shapes, model=model) == model


@pytest.mark.parametrize(
    ("depth", "neck", "name"),
    [
        ("R_50", "FPN", "resnet50"),
        ("R_101", "FPN", "resnet101"),
        ("X_101_32x8d", "FPN", "resnext101_32x8d"),
        ("R_50", "C4", "resnet50"),
        ("R_50", "DC5", "resnet50"),
    ],
)
def test_detectron2s_own_are_as_they_were(depth, neck, name):
    model = find_model(f"faster_rcnn_{depth}_{neck}").config(3).model
    shapes = fpn(depth) if neck == "FPN" else one_map(depth, neck)
    assert model.backbone.name == name
    assert found(shapes, DETECTRON2, model) == model


def test_detectron2s_depth_and_norms_are_told_too():
    model = find_model("faster_rcnn_R_50_FPN").config(3).model
    assert found(fpn("R_101"), DETECTRON2, model).backbone.name == "resnet101"
    group = {k: x for k, x in fpn("R_50").items() if "running" not in k}
    assert found(group, DETECTRON2, model).backbone.norm == "group"
    batch = fpn("R_50") | {"backbone.bottom_up.res2.0.conv1.norm.num_batches_tracked": ()}
    assert found(batch, DETECTRON2, model).backbone.norm == "batch"

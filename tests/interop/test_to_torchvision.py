"""The call of torchvision's for a model of ours, and what torchvision cannot build."""

import ast
from dataclasses import replace

import pytest

from jaxrcnn.config import AnchorConfig, ConfigError
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.to_torchvision import check_is_torchvisions, remarks, torchvision_call
from tests.tiny import change

V1, V2 = "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2"
MOBILE = "fasterrcnn_mobilenet_v3_large_320_fpn"


def config_of(name=V1, **groups):
    config = find_model(name).config(3)
    return replace(config, model=change(config.model, **groups))


def parts(config):
    """The imported names, and the arguments of FasterRCNN as code."""
    check_is_torchvisions(config)
    tree = ast.parse(torchvision_call(config, "w.safetensors"))
    imported = {name.name for x in tree.body if isinstance(x, ast.ImportFrom) for name in x.names}
    (made,) = [x.value for x in tree.body if isinstance(x, ast.Assign)]
    called = {
        x.func.id for x in ast.walk(tree) if isinstance(x, ast.Call) and hasattr(x.func, "id")
    }
    assert called <= imported
    arguments = {x.arg: ast.unparse(x.value) for x in made.keywords}
    return ast.unparse(made.args[0]), arguments, ast.unparse(tree.body[-2:])


def test_torchvisions_first_is_its_class_with_a_frozen_norm_of_epsilon_0():
    backbone, arguments, end = parts(config_of())
    assert backbone == "resnet_fpn_backbone(backbone_name='resnet50', weights=None)"
    assert arguments == {"num_classes": "4", "min_size": "800", "max_size": "1333"}
    assert "overwrite_eps(model, 0.0)" in end
    assert "model.load_state_dict(load_file('w.safetensors'))" in end
    backbone = {"name": "resnet18", "norm_epsilon": 1e-5}
    assert "overwrite_eps" not in parts(config_of(backbone=backbone))[2]


def test_its_second_has_other_heads_and_norms():
    backbone, arguments, _ = parts(config_of(V2))
    assert backbone.startswith("BackboneWithFPN(resnet50(weights=None, norm_layer=BatchNorm2d), ")
    assert backbone.endswith("[256, 512, 1024, 2048], 256, norm_layer=BatchNorm2d)")
    assert arguments["rpn_head"] == "RPNHead(256, 3, conv_depth=2)"
    assert arguments["box_head"] == (
        "FastRCNNConvFCHead((256, 7, 7), [256, 256, 256, 256], [1024], norm_layer=BatchNorm2d)"
    )


def test_its_mobilenet_has_other_anchors_and_limits():
    backbone, arguments, _ = parts(config_of(MOBILE))
    assert backbone.startswith("mobilenet_backbone(backbone_name='mobilenet_v3_large'")
    sizes = "(32.0, 64.0, 128.0, 256.0, 512.0)"
    generator = f"AnchorGenerator(({', '.join([sizes] * 3)}), ((0.5, 1.0, 2.0),) * 3)"
    assert arguments.pop("rpn_anchor_generator") == generator
    assert arguments == {
        **{"num_classes": "4", "min_size": "320", "max_size": "640", "rpn_score_thresh": "0.05"},
        **{"rpn_pre_nms_top_n_test": "150", "rpn_post_nms_top_n_test": "150"},
    }


MAPS = "['0', '1', '2', '3']"
PYRAMID = "((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))"


@pytest.mark.parametrize(
    ("groups", "argument", "value"),
    [
        ({"detections": {"max_detections": 300}}, "box_detections_per_img", "300"),
        ({"detections": {"nms_iou": 0.7}}, "box_nms_thresh", "0.7"),
        ({"proposals": {"nms_iou": 0.5}}, "rpn_nms_thresh", "0.5"),
        ({"box_head": {"samples": 64}}, "box_batch_size_per_image", "64"),
        ({"box_head": {"coder_weights": (1.0,) * 4}}, "bbox_reg_weights", "(1.0, 1.0, 1.0, 1.0)"),
        ({"roi": {"output_size": 5}}, "box_roi_pool", f"MultiScaleRoIAlign({MAPS}, 5, 2)"),
        ({"roi": {"sampling_ratio": 0}}, "box_roi_pool", f"MultiScaleRoIAlign({MAPS}, 7, -1)"),
        ({"box_head": {"channels": 512}}, "box_head", "TwoMLPHead(12544, 512)"),
        ({"box_head": {"channels": 512}}, "box_predictor", "FastRCNNPredictor(512, 4)"),
        (
            {"anchors": {"ratios": (1.0, 2.0)}},
            "rpn_anchor_generator",
            f"AnchorGenerator({PYRAMID}, ((1.0, 2.0),) * 5)",
        ),
    ],
)
def test_what_is_not_the_default_is_an_argument(groups, argument, value):
    assert parts(config_of(**groups))[1][argument] == value


def test_pixel_statistics_are_in_0_to_1():
    config = config_of()
    model = replace(config.model, pixel_mean=(0.0, 51.0, 255.0), pixel_std=(255.0,) * 3)
    arguments = parts(replace(config, model=model))[1]
    assert arguments["image_mean"] == "(0.0, 0.2, 1.0)"
    assert arguments["image_std"] == "(1.0, 1.0, 1.0)"


@pytest.mark.parametrize(
    ("backbone", "code"),
    [
        ({"norm": "batch", "norm_epsilon": 1e-5}, "norm_layer=BatchNorm2d)"),
        ({"norm": "batch", "norm_epsilon": 0.5}, "lambda channels: BatchNorm2d(channels, eps=0.5)"),
        ({"norm": "group"}, "norm_layer=lambda channels: GroupNorm(32, channels)"),
    ],
)
def test_the_norm_of_the_backbone(backbone, code):
    assert code in parts(config_of(backbone=backbone))[0]


def test_a_pyramid_of_other_channels():
    groups = {"backbone": {"name": "resnet18"}, "neck": {"channels": 128}}
    backbone, _, _ = parts(config_of(**groups))
    assert backbone.startswith(
        "BackboneWithFPN(resnet18(weights=None, norm_layer=FrozenBatchNorm2d)"
    )
    assert backbone.endswith("[64, 128, 256, 512], 128)")


@pytest.mark.parametrize(
    ("groups", "fields"),
    [
        ({"backbone": {"stride_in_1x1": True}}, ["model.backbone.stride_in_1x1=True"]),
        ({"backbone": {"width": 8}}, ["model.backbone.width=8, 64 there"]),
        ({"backbone": {"name": "vgg16", "norm": "none"}}, ["model.backbone.name=vgg16"]),
        ({"roi": {"op": "align"}}, ["model.roi.op=align, align_unaligned there"]),
        ({"anchors": {"rounded": False}}, ["model.anchors.rounded=False"]),
        ({"anchors": {"spread": False}}, ["model.anchors.spread=False"]),
        ({"anchors": {"offset": 0.5}}, ["model.anchors.offset=0.5"]),
        ({"rpn": {"coder_weights": (1.0, 1.0, 2.0, 2.0)}}, ["model.rpn.coder_weights"]),
        ({"rpn": {"channels": 128}}, ["model.rpn.channels=128"]),
        ({"box_head": {"class_agnostic": True}}, ["model.box_head.class_agnostic=True"]),
        ({"box_head": {"class_loss": "sigmoid"}}, ["model.box_head.class_loss=sigmoid, softmax"]),
        ({"neck": {"norm": "group"}}, ["model.neck.norm=group"]),
        ({"detections": {"soft_nms": "linear"}}, ["model.detections.soft_nms=linear"]),
        (
            {"roi": {"op": "pool"}, "anchors": {"spread": False}},
            ["model.roi.op=pool", "model.anchors.spread=False"],
        ),
    ],
)
def test_what_torchvision_cannot_build_is_refused_with_its_fields(groups, fields):
    with pytest.raises(ConfigError) as error:
        check_is_torchvisions(config_of(**groups))
    assert "\n" not in str(error.value)
    assert all(field in str(error.value) for field in fields)


@pytest.mark.parametrize("neck", ["FPN", "C4", "DC5"])
def test_detectron2s_are_refused(neck):
    with pytest.raises(ConfigError) as error:
        check_is_torchvisions(config_of(f"faster_rcnn_R_50_{neck}"))
    for field in ("backbone.stride_in_1x1", "pixel_std", "roi.op", "anchors.rounded", "spread"):
        assert field in str(error.value)


def test_anchors_that_rounding_does_not_change_need_none():
    whole = AnchorConfig(sizes=((32.0,),) * 5, ratios=(0.25, 1.0, 4.0), spread=True)
    config = config_of()
    check_is_torchvisions(replace(config, model=replace(config.model, anchors=whole)))


def test_smaller_differences_are_remarks():
    assert remarks(config_of()) == []
    config = config_of(detections={"min_size": 0.0})
    lines = remarks(replace(config, data=replace(config.data, resize="pillow")))
    assert len(lines) == 2
    assert "data.resize=pillow" in lines[0]

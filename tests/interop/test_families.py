"""Names as other detectors' files have them."""

import pytest

from jaxrcnn.interop.families import family_of
from tests.interop.state_dicts import SHAPES
from tests.interop.test_of_detectron2 import fpn, one_map, resnet


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("a YOLO", ["model.0.conv.weight", "model.0.bn.weight", "model.22.dfl.conv.weight"]),
        ("a YOLO", ["model.model.2.cv1.conv.weight", "model.model.2.m.0.cv1.conv.weight"]),
        ("a YOLO", ["model.24.anchors", "model.24.m.0.weight"]),
        ("a YOLO", ["module_list.0.Conv2d.weight", "module_list.0.BatchNorm2d.weight"]),
        ("a YOLOX", ["backbone.backbone.dark2.0.conv.weight", "head.stems.0.conv.weight"]),
        (
            "a RetinaNet",
            [
                "backbone.body.conv1.weight",
                "head.classification_head.conv.0.0.weight",
                "head.regression_head.bbox_reg.weight",
            ],
        ),
        ("a RetinaNet", ["backbone.bottom_up.stem.conv1.weight", "head.cls_subnet.0.weight"]),
        (
            "an FCOS",
            [
                "head.classification_head.cls_logits.weight",
                "head.regression_head.bbox_ctrness.weight",
            ],
        ),
        (
            "an SSD",
            [
                "backbone.features.0.weight",
                "head.classification_head.module_list.0.weight",
                "head.regression_head.module_list.0.weight",
            ],
        ),
        ("a DETR", ["transformer.encoder.layers.0.self_attn.in_proj_weight", "class_embed.weight"]),
        (
            "a two-stage detector of MMDetection",
            [
                "backbone.conv1.weight",
                "neck.lateral_convs.0.conv.weight",
                "rpn_head.rpn_conv.weight",
                "roi_head.bbox_head.fc_cls.weight",
            ],
        ),
        (
            "a single-stage detector of MMDetection",
            ["backbone.conv1.weight", "bbox_head.gfl_cls.w"],
        ),
        (
            "a Faster R-CNN of maskrcnn-benchmark",
            [
                "rpn.head.cls_logits.weight",
                "roi_heads.box.feature_extractor.fc6.weight",
                "backbone.body.stem.conv1.weight",
            ],
        ),
        (
            "a Cascade R-CNN of Detectron2",
            [
                "proposal_generator.rpn_head.objectness_logits.weight",
                "roi_heads.box_predictor.0.cls_score.bias",
            ],
        ),
        (
            "an RPN alone, with no second stage",
            ["backbone.res2.0.conv1.weight", "proposal_generator.rpn_head.conv.weight"],
        ),
        ("a Faster R-CNN of jwyang/faster-rcnn.pytorch", ["RCNN_rpn.RPN_Conv.weight"]),
        (
            "a Faster R-CNN of simple-faster-rcnn-pytorch",
            ["extractor.0.weight", "rpn.score.weight"],
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "ema.module."])
def test_other_detectors_are_called_by_their_names(family, names, prefix):
    assert family_of(prefix + name for name in names) == family


@pytest.mark.parametrize(
    "names",
    [
        *SHAPES.values(),
        fpn("R_50"),
        fpn("X_101_32x8d"),
        one_map("R_50", "C4"),
        one_map("R_50", "DC5"),
        resnet("", "R_50"),
        ["conv_stem.weight", "blocks.0.0.conv_pw.weight", "classifier.weight"],
        ["res2_0_branch2a_w", "conv1_w"],
        ["unknown.weight"],
        [],
    ],
)
def test_what_is_read_or_unknown_is_no_other_detector(names):
    assert family_of(names) is None
    assert family_of(f"model.{name}" for name in names) is None
